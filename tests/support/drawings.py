"""Drawings of networks that tests make once: drawing takes most of annotating a study."""

from __future__ import annotations

import pytest

from hnas.studies.dashboard import annotate
from hnas.studies.figures.network import Picture, network
from hnas.studies.figures.style import svg

DRAWN: dict[str, str] = {}


def _once(drawn: Picture) -> str:
    key = f"{drawn.frame} {drawn.arch.to_json()}"
    if key not in DRAWN:
        DRAWN[key] = svg(network(drawn))
    return DRAWN[key]


def _first(drawn: Picture) -> str:
    return next(iter(DRAWN.values()), "") or _once(drawn)


def draw_once(patch: pytest.MonkeyPatch) -> None:
    """Each network is drawn, but once by all tests."""
    patch.setattr(annotate, "network", lambda drawn: drawn)
    patch.setattr(annotate, "svg", _once)


def draw_first(patch: pytest.MonkeyPatch) -> None:
    """The first network is drawn, for all: tests that do not look at what is in a drawing."""
    patch.setattr(annotate, "network", lambda drawn: drawn)
    patch.setattr(annotate, "svg", _first)
