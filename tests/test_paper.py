"""docs/paper.md: every command in it prints what it says."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from hnas.cli.main import hnas

TEXT = (Path(__file__).parents[1] / "docs" / "paper.md").read_text("utf-8")
BLOCKS = "".join(re.findall(r"^```console\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE))
COMMANDS = re.findall(r"^\$ hnas (.*)\n((?:(?!\$ ).*\n)*)", BLOCKS, re.MULTILINE)


def test_there_are_commands() -> None:
    assert len(COMMANDS) == TEXT.count("\n$ ") > 5


@pytest.mark.parametrize(("command", "output"), COMMANDS, ids=[c for c, _ in COMMANDS])
def test_a_command_prints_what_is_shown(
    root: Path, monkeypatch: pytest.MonkeyPatch, command: str, output: str
) -> None:
    monkeypatch.chdir(root)
    result = CliRunner().invoke(hnas, shlex.split(command), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert doctest.OutputChecker().check_output(output, result.stdout, doctest.ELLIPSIS), (
        result.stdout
    )
