"""A storage's password is in no output, no file and no study."""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from tests.support.postgres import new_database, served

SECRET = "s3cr3t-Pa55%21"
"""As it stands in a URL; the server is told "s3cr3t-Pa55!"."""


def invoke(*args: object) -> Result:
    return CliRunner().invoke(hnas, [*map(str, args)], catch_exceptions=False)


@pytest.fixture
def connections_left_over() -> Iterator[None]:
    """A command leaves its connections to the end of its process; here that is one for all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


@pytest.mark.usefixtures("connections_left_over")
def test_a_password_is_nowhere(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import psycopg

    with served() as server:
        url = new_database(server.url.replace("unused", SECRET))
        run = tmp_path / "run"
        stored = ("--storage", url)
        told = [
            invoke(
                "search", "--plan", tiny, "--run", run, "--device", "cpu", "--stage", 1, *stored
            ),
            invoke("status", "--run", run, *stored),
            invoke("status", "--run", run, "--json", *stored),
            invoke("search", "--run", run, "--seed", 1, *stored),
            invoke("search", "--run", run),
        ]
        assert [result.exit_code for result in told] == [0, 0, 0, 2, 2]
        with psycopg.connect(url) as connection:
            names = connection.execute(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
            ).fetchall()
            assert ("study_user_attributes",) in names
            rows = [connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names]
        server.stop()
        monkeypatch.setattr("hnas.studies.trials.database.PATIENCE", 0.0)  # it is waited for
        gone = invoke("search", "--run", run, "--device", "cpu", *stored)
        assert gone.exit_code == 2
    said = "".join(result.output for result in [*told, gone])
    files = b"".join(path.read_bytes() for path in run.rglob("*") if path.is_file())
    for secret in (SECRET, "s3cr3t-Pa55"):
        assert secret not in said
        assert secret not in json.dumps(rows, default=str)
        assert secret.encode() not in files
    assert "hnas:***@127.0.0.1" in said  # it is told which, without
