"""The picture of findings has every study, share and importance in it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np

from hnas.architecture.space import Frame, Space, distribution_space, size_space
from hnas.studies.figures.style import svg
from hnas.studies.findings.figure import SHOWN, figure
from hnas.studies.findings.findings import Findings, describe
from hnas.studies.findings.importances import Importances
from hnas.studies.findings.published import published_findings
from hnas.studies.objective.costs import Costs

FRAME = Frame(image=8, channels=1, patch=2, classes=10, d=12, M=4, N=3)
STAGE1 = distribution_space(FRAME, d_k=12, d_z=2, E=1, K=5)
ARCH = STAGE1.sample(np.random.default_rng(0))
STAGE2 = size_space(FRAME, ARCH, d_k=(6, 12), d_z=(2,), E=(1,), K=(5, 9))


def findings(of: str, space: Space, importance: Importances | None) -> Findings:
    free = Costs(frame=FRAME)
    return replace(describe(of, [ARCH], space, free, "one"), importances=importance)


def texts(*found: Findings) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg(figure(found, published_findings())))


def test_everything_that_was_found_is_named() -> None:
    many = Importances(
        method="fANOVA", values={f"b{i:02d}.d_k": 1 / i for i in range(1, 15)}, chance=0.2
    )
    shown = texts(findings("stage1", STAGE1, None), findings("stage2", STAGE2, many))
    for kind in ("global", "mixed", "local"):
        assert f"stage1: {kind}" in shown and f"stage2: {kind}" not in shown
    assert {"stage2: K = 5", "stage2: K = 9", "stage2 (handed over)"} <= set(shown)
    assert "GLiT-Tiny, published" in shown
    assert "Importance in stage2 (fANOVA)" in shown
    assert [name for name in shown if name.endswith(".d_k")] == list(many.values)[:SHOWN]


def test_one_study_without_shares_is_drawn_too() -> None:
    alone = findings("stage2", size_space(FRAME, ARCH, d_k=(6, 12), d_z=(2,), E=(1,), K=(5,)), None)
    assert "stage2 (handed over)" in texts(alone)
