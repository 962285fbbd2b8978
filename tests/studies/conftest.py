from __future__ import annotations

from collections.abc import Iterator

import pytest

from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import from_toml
from tests.support.drawings import draw_first
from tests.support.postgres import new_database, served
from tests.support.tiny import TINY


@pytest.fixture(scope="package", autouse=True)
def first_drawn() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        draw_first(patch)
        yield


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
