from __future__ import annotations

from collections.abc import Iterator

import pytest

from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import from_toml
from tests.support.postgres import new_database, served

TINY = """
[data]
source = "digits"
limit = 300

[net]
image = 8
channels = 1
patch = 4
classes = 10
d = 12
M = 3
N = 3

[augment]
shift = 1

[stage1]
d_k = 12
K = 3
trials = 12
population = 5
training = { epochs = 3, batch = 64, lr = 3e-3 }

[stage2]
d_k = [6, 12]
d_z = [2, 4]
E = [1, 2]
K = [3, 5]
trials = 11
population = 5
training = { epochs = 2, batch = 64, lr = 3e-3 }

[score]
recalibration = 32

[retrain]
top = 2
training = { epochs = 2, batch = 64, lr = 3e-3, ema = 0.9, drop_path = 0.1 }
"""


@pytest.fixture(scope="session")
def tiny() -> Plan:
    """A whole search in about two seconds."""
    return from_toml(TINY)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real PostgreSQL server of the tests' own, without a database name."""
    with served() as server:
        yield server.url


@pytest.fixture
def database(postgres: str) -> str:
    """The URL of a new, empty PostgreSQL database."""
    return new_database(postgres)
