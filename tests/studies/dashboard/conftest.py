"""Runs without networks, whose stage 2 goes on from stage 1."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from optuna.storages import RDBStorage

from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import Run, begin_run, open_run
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.pareto import best_by_score
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from tests.support import fake_runs


def hand_over(run: Run) -> int:
    """Records what stage 2 goes on from, as a search does: the number of a trial of stage 1."""
    storage = open_storage(run.storage)
    first, second = (open_study(storage, run.study_name(number)) for number in (1, 2))
    (best,) = best_by_score(records(first), 1)
    handoff = {"rule": "score", "trial": best.number, "arch": best.arch.to_dict()}
    second.set_user_attr("handoff", {**handoff, "from": first.study_name})
    first.set_user_attr("handoff", {**handoff, "to": second.study_name})
    return best.number


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory, tiny: Plan) -> Run:
    """Finished, not to be changed."""
    run = begin_run(tmp_path_factory.mktemp("made") / "found", tiny)
    fake_runs.finish(run, trials=12)
    hand_over(run)
    return run


@pytest.fixture
def run(tmp_path: Path, made: Run) -> Run:
    """A copy; its name is part of its studies' names."""
    return open_run(Path(shutil.copytree(made.folder, tmp_path / "found")))


@pytest.fixture
def storage(run: Run) -> RDBStorage:
    return open_storage(run.storage)
