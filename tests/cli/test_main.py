"""The group of commands: help, exit codes, and how mistakes are told."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from hnas.cli.main import COMMANDS, SECTIONS, hnas, load
from hnas.errors import BusyError
from hnas.machine import BRIEFLY, POLICY, SPINS


def run(root: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hnas.cli.main", *args], cwd=root, capture_output=True, text=True
    )


def test_the_help_lists_the_commands_by_section_in_their_order() -> None:
    result = CliRunner().invoke(hnas, ["--help"])
    assert result.exit_code == 0
    for title, section in SECTIONS.items():
        listed = result.stdout.split(f"\n{title}:\n")[1].split("\n\n")[0].splitlines()
        assert [line.split()[0] for line in listed] == list(section)
    assert sum(map(len, SECTIONS.values())) == len(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_is_where_the_map_says_and_says_what_the_map_says(name: str) -> None:
    command = load(name)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert (command.help or "").split("\n")[0] == COMMANDS[name]


def test_the_version() -> None:
    result = CliRunner().invoke(hnas, ["--version"])
    assert (result.exit_code, result.stdout) == (0, "hnas, version 0.1.0\n")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["cots"], "Error: No such command 'cots'. Did you mean 'cost'?"),
        (["cost", "--arhc", "x"], "Error: No such option '--arhc'. Did you mean '--arch'?"),
        (["cost"], "Error: Missing option '--arch'."),
        (
            ["space", "--preset", "digits", "--plan", "x"],
            "Error: --preset and --plan exclude each other: give one of them.",
        ),
        (
            ["space", "--preset", "digit"],
            "Error: there is no preset 'digit'; did you mean 'digits'? "
            "Known: digits, fashion-mnist, cifar10, glit-tiny, glit-tiny-release, glit-small, "
            "glit-base",
        ),
        (
            ["space", "--plan", "none.toml"],
            "Error: the plan none.toml cannot be read: No such file or directory",
        ),
    ],
)
def test_a_mistake_is_one_message_and_exit_code_2(args: list[str], message: str) -> None:
    result = CliRunner().invoke(hnas, args)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == message


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (BusyError("the run is held"), 2, "Error: the run is held"),
        (
            OSError(errno.ENOSPC, "No space left on device", "w.onnx"),
            2,
            "Error: [Errno 28] No space left on device: 'w.onnx'",
        ),
        (KeyboardInterrupt(), 130, "Interrupted."),
        (click.Abort(), 130, "Interrupted."),
        (KeyboardInterrupt("Interrupted. Go on."), 130, "Interrupted. Go on."),
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 2, "Error: [Errno 32] Broken pipe"),
    ],
)
def test_what_a_command_raises(
    monkeypatch: pytest.MonkeyPatch, raised: BaseException, code: int, message: str
) -> None:
    @click.command()
    def broken() -> None:
        raise raised

    monkeypatch.setattr("hnas.cli.commands.architecture.space", broken)
    result = CliRunner().invoke(hnas, ["space"])
    assert result.exit_code == code
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1] == message


def test_a_defect_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def broken() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("hnas.cli.commands.architecture.space", broken)
    assert isinstance(CliRunner().invoke(hnas, ["space"]).exception, ZeroDivisionError)


def test_as_a_process(root: Path) -> None:
    ran = run(root, "space")
    assert (ran.returncode, ran.stderr) == (0, "")
    ran = run(root, "space", "--preset", "nothing")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("Error: there is no preset 'nothing'; Known: digits,")
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("hnas sea", {"search"}),
        ("hnas search --see", {"--seed"}),
        (
            "hnas search --preset glit",
            {"glit-tiny", "glit-tiny-release", "glit-small", "glit-base"},
        ),
        ("hnas latency --dev", {"--device"}),
    ],
)
def test_a_shell_completes_commands_options_and_presets(words: str, offered: set[str]) -> None:
    env = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), **COMPLETE}
    result = CliRunner().invoke(hnas, [], prog_name="hnas", env=env)
    assert result.exit_code == 0
    assert {line.split(",")[1] for line in result.stdout.splitlines()} == offered


COMPLETE = {"_HNAS_COMPLETE": "bash_complete"}


@pytest.mark.parametrize("name", COMMANDS)
def test_help_is_no_wider_than_a_terminal(name: str) -> None:
    result = CliRunner().invoke(hnas, [name, "--help"], catch_exceptions=False)
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_threads_wait_briefly_from_the_start(tmp_path: Path) -> None:
    """OpenMP reads the variable when torch is imported, and never again."""
    code = (
        "import atexit, os, sys; from hnas.cli.main import main; "
        "atexit.register(lambda: print(os.environ[SPINS], 'torch' in sys.modules)); "
        "from hnas.machine import SPINS; main()"
    )
    env = {name: value for name, value in os.environ.items() if name not in (SPINS, POLICY)}
    found = subprocess.run(
        [sys.executable, "-c", code, "--version"],
        cwd=tmp_path,
        env=env,
        capture_output=True,
        text=True,
    )
    assert found.stdout.splitlines()[-1] == f"{BRIEFLY} False", found.stderr
