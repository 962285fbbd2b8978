"""Runs without networks, whose stage 2 goes on from stage 1."""

from __future__ import annotations

from pathlib import Path

import pytest
from optuna.storages import RDBStorage

from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.pareto import best_by_score
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from tests.support import fake_runs
from tests.support.drawings import draw_once


def hand_over(run: Run) -> int:
    """Records what stage 2 goes on from, as a search does: the number of a trial of stage 1."""
    storage = open_storage(run.storage)
    first, second = (open_study(storage, run.study_name(number)) for number in (1, 2))
    (best,) = best_by_score(records(first), 1)
    handoff = {"rule": "score", "trial": best.number, "arch": best.arch.to_dict()}
    second.set_user_attr("handoff", {**handoff, "from": first.study_name})
    first.set_user_attr("handoff", {**handoff, "to": second.study_name})
    return best.number


@pytest.fixture(autouse=True)
def drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    draw_once(monkeypatch)


@pytest.fixture
def run(tmp_path: Path, tiny: Plan) -> Run:
    """Finished."""
    run = begin_run(tmp_path / "found", tiny)
    fake_runs.finish(run, trials=12)
    hand_over(run)
    return run


@pytest.fixture
def storage(run: Run) -> RDBStorage:
    return open_storage(run.storage)
