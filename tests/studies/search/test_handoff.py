"""What a stage begins with if the front before it is larger than a generation."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hnas.studies.plan.change import refined
from hnas.studies.plan.plan import Plan
from hnas.studies.search import handoff
from hnas.studies.trials.marks import Marks
from hnas.studies.trials.record import Record


@pytest.mark.parametrize(("elites", "chosen"), [([3, 0], [0, 3]), ([], [0, 1])])
def test_of_a_large_front_the_proposer_chooses(
    tiny: Plan, monkeypatch: pytest.MonkeyPatch, elites: list[int], chosen: list[int]
) -> None:
    """Best score first; without a choice the best are taken."""
    rng, plan = np.random.default_rng(0), refined(tiny)
    space = plan.space2(None)
    front = [
        Record(number=i, generation=0, arch=space.sample(rng), accuracy=0.9 - i / 10, loss=1.0,
               macs=900 - i, params=0, seconds=0.0)
        for i in range(4)
    ]  # fmt: skip

    def kept(_space: object, _costs: object, found: Any, count: int) -> list[Record]:
        assert count == 2
        return [one for one in found if one.number in elites]

    proposer = SimpleNamespace(elites=kept)
    asked = SimpleNamespace(from_front=True, population=2, proposer=proposer)
    session: Any = SimpleNamespace(
        plan=plan,
        costs=None,
        run=SimpleNamespace(stage=lambda number: asked, study_name=lambda number: "s3"),
        study=lambda number: f"study {number}",
        finished=lambda number, what: front,
    )
    written: list[tuple[object, Marks]] = []
    monkeypatch.setattr(handoff, "marks_of", lambda study: Marks())
    monkeypatch.setattr(handoff, "write_marks", lambda *mark: written.append(mark))
    monkeypatch.setattr(handoff, "stage_space", lambda session, stage: space)
    archs = tuple(front[i].arch for i in chosen)
    assert handoff.start(session, 3) == archs
    ((study, mark),) = written
    assert study == "study 2" and mark.front is not None
    assert (mark.front.archs, mark.front.to) == (archs, "s3")
