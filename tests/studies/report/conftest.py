"""A finished search and one that has only begun, without networks."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnas.studies.plan.plan import Plan
from hnas.studies.report.gather import Report
from hnas.studies.run.folder import Run, begin_run
from tests.support import fake_runs


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory, tiny: Plan) -> Run:
    """Not to be changed."""
    run = begin_run(tmp_path_factory.mktemp("report") / "finished", tiny)
    fake_runs.finish(run)
    return run


@pytest.fixture(scope="session")
def report(finished_run: Run) -> Report:
    return fake_runs.report(finished_run)


@pytest.fixture
def begun_run(tmp_path: Path, tiny: Plan) -> Run:
    """Stage 1 has half of its trials."""
    run = begin_run(tmp_path / "begun", tiny)
    fake_runs.search(run, 1, trials=6)
    return run


@pytest.fixture
def begun(begun_run: Run) -> Report:
    return fake_runs.report(begun_run)
