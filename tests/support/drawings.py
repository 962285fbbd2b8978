"""The first network's drawing, for all that tests annotate: drawing takes most of annotating a
study, and few tests look at what is in a drawing."""

from __future__ import annotations

import pytest

from hnas.studies.dashboard import annotate
from hnas.studies.figures.network import Picture, network
from hnas.studies.figures.style import svg

DRAWN: list[str] = []


def _first(drawn: Picture) -> str:
    if not DRAWN:
        DRAWN.append(svg(network(drawn)))
    return DRAWN[0]


def draw_first(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(annotate, "network", lambda drawn: drawn)
    patch.setattr(annotate, "svg", _first)


def draw_all(patch: pytest.MonkeyPatch) -> None:
    """As hnas does."""
    patch.setattr(annotate, "network", network)
    patch.setattr(annotate, "svg", svg)
