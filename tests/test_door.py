"""The door: `import hnas` is quick, and `hnas.search` and `hnas.open_run` are there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import hnas
from hnas.cli import python
from hnas.studies import api
from hnas.studies.search import events


def printed(root: Path, *arguments: str) -> str:
    """What a new Python prints; a warning is an error there too."""
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout


def test_import_loads_nothing_slow(root: Path) -> None:
    code = "import sys, hnas; print(sorted(m for m in sys.modules if m.startswith('hnas')), {0})"
    slow = "{'torch', 'numpy', 'optuna', 'click'} & set(sys.modules)"
    assert printed(root, "-c", code.format(slow)) == "['hnas'] set()\n"


def test_its_functions_are_those_of_the_api() -> None:
    assert hnas.search is python.search
    assert hnas.Stop is events.Stop
    assert hnas.open_run is api.open_run
    assert {*hnas.__all__} <= {*dir(hnas)}


@pytest.mark.parametrize(
    ("asked", "terminal", "shown"),
    [
        ({}, False, False),
        ({}, True, True),
        ({"progress": True}, False, True),
        ({"progress": False}, True, False),
        ({"listener": events.Listener()}, True, False),
    ],
)
def test_a_search_shows_its_progress_to_a_person(
    monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any], terminal: bool, shown: bool
) -> None:
    heard: list[dict[str, Any]] = []
    monkeypatch.setattr(python, "silent", lambda **given: heard.append(given))
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    python.search(callbacks=[print], **asked)
    assert isinstance(heard[0]["listener"], events.Listeners) == shown
    assert heard[0]["callbacks"] == [print]


def test_a_notebook_is_a_person_too(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[dict[str, Any]] = []
    monkeypatch.setattr(python, "silent", lambda **given: heard.append(given))
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    python.search()
    assert isinstance(heard[0]["listener"], events.Listeners)


def test_another_name_is_told() -> None:
    with pytest.raises(AttributeError, match="module 'hnas' has no attribute 'seach'"):
        hnas.seach  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'seach' from 'hnas'"):
        from hnas import seach  # type: ignore[attr-defined]  # noqa: F401


def test_python_m_hnas_is_the_command_line(root: Path) -> None:
    for option in ("--version", "-V"):
        assert printed(root, "-m", "hnas", option) == f"hnas, version {hnas.__version__}\n"
