"""The same network's drawing, made once by all tests: drawing takes most of annotating a study."""

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


def draw_once(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(annotate, "network", lambda drawn: drawn)
    patch.setattr(annotate, "svg", _once)
