"""`hnas doctor`: a line a check, and an exit code."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.selftest import self_test


def doctor(*args: object) -> Result:
    return CliRunner().invoke(hnas, ["doctor", *map(str, args)], catch_exceptions=False)


@pytest.fixture(scope="module", autouse=True)
def tested_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hnas.studies.doctor.self_test", functools.cache(self_test))
        yield


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_machine_that_can_search() -> None:
    result = doctor("--device", "cpu")
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert [words[:2] for words in lines] == [
        ["ok", name]
        for name in ("versions", "extras", "device", "data", "disk", "storage", "self-test")
    ]
    assert "its subnet is its standalone network (difference 0)" in result.stdout


def test_one_that_cannot_in_json(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'none.db'}"
    result = doctor("--device", "cpu", "--json", "--storage", url)
    assert result.exit_code == 2
    found = {check["name"]: check for check in json.loads(result.stdout)}
    assert not found["storage"]["fine"] and found["self-test"]["fine"]
    assert found["storage"]["words"].startswith("there is no study storage ")
