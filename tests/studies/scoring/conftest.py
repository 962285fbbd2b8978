from __future__ import annotations

import optuna
import pytest

from hnas.studies.search.stage import run_stage
from hnas.studies.trials.database import close_storage
from hnas.studies.trials.study import open_study
from tests.support.queued import (
    COSTS,
    RULES,
    SCORER,
    SPACE,
    open_queued,
    timeless,
)


@pytest.fixture(scope="module")
def here():
    """The trials of the search in one process."""
    study = open_study(optuna.storages.InMemoryStorage(), "s", create=True)
    return timeless(run_stage(study, SPACE, SCORER, RULES, costs=COSTS).records)


@pytest.fixture
def study(database):
    """A new study that asks for workers."""
    study = open_queued(database)
    yield study
    close_storage(study._storage._backend)
