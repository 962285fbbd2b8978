"""Standard streams as services, pipes and old terminals leave them, in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HNAS = f"exec {sys.executable} -m hnas.cli.main"
PREPARED = "import sys, click; from hnas.cli.screen import streams; streams.prepare(); "


def shell(root: Path, line: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["sh", "-c", line], cwd=root, env={**os.environ, **environment}, capture_output=True
    )


def prepared(root: Path, code: str, *args: str, **environment: str) -> tuple[bytes, bytes]:
    """What Python prints with its streams prepared."""
    command = [sys.executable, "-c", PREPARED + code, *args]
    env = {**os.environ, **environment}
    ran = subprocess.run(command, cwd=root, env=env, capture_output=True, check=True)
    return ran.stdout, ran.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_as_dev_null(root: Path, closed: str) -> None:
    ran = shell(root, f"{HNAS} space --preset digits {closed}")
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert bool(ran.stdout) == (">&-" not in closed or closed == "2>&-")
    assert shell(root, f"{HNAS} space --preset nothing {closed}").returncode == 2


def test_what_would_be_asked_is_not_without_standard_input(root: Path) -> None:
    code = PREPARED + "from hnas.cli.screen.proposal import _terminal; print(_terminal())"
    ran = shell(root, f"{sys.executable} -c '{code}' <&-")
    assert ran.stdout == b"False\n"


def test_what_is_opened_next_is_no_standard_stream(root: Path, tmp_path: Path) -> None:
    """A study's database would be written over by what is printed."""
    file = tmp_path / "kept"
    code = f"{PREPARED}open(sys.argv[1], chr(119)).fileno(); print(1); click.echo(2, err=True)"
    assert shell(root, f"{sys.executable} -c '{code}' {file} >&- 2>&-").returncode == 0
    assert file.read_text() == ""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "utf-8"])
@pytest.mark.parametrize("name", ["日本", "naïve", "\udcff of no encoding"])
def test_any_name_is_shown_in_any_encoding(root: Path, encoding: str, name: str) -> None:
    code = f"print({name!r}, flush=True); sys.stderr.write({name!r}); click.echo({name!r})"
    out, err = prepared(root, code, PYTHONIOENCODING=encoding)
    shown = name.encode(encoding, "replace")
    assert (out.splitlines()[0], err) == (shown, shown)
    assert len(out.splitlines()) == 2


def test_a_command_ends_as_it_would_if_its_reader_has_gone(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "done"
    code = PREPARED + (
        "[print(i) for i in range(10**5)]; click.echo(1, err=True); "
        "open(sys.argv[1], 'w').close(); sys.exit(3)"
    )
    command = [sys.executable, "-c", code, str(file)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=root, stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b"1\n"
        assert process.wait(300) == 3
    assert file.exists()


def test_lines_are_sent_at_once_if_that_is_asked_for(root: Path) -> None:
    """As a service does, to see them as they come."""
    code = PREPARED + "print('now'); sys.stdin.read()"
    pipe = subprocess.PIPE
    command = [sys.executable, "-u", "-c", code]
    with subprocess.Popen(command, cwd=root, stdin=pipe, stdout=pipe) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"


def test_a_warning_of_a_library_is_its_words(root: Path) -> None:
    code = (
        "import warnings; "
        "warnings.warn_explicit('Odd\\n  metadata', UserWarning, '/x/site-packages/PIL/I.py', 3); "
        "warnings.warn('of nobody', RuntimeWarning); "
        "warnings.warn('of developers', DeprecationWarning, 3)"
    )
    out, err = prepared(root, code)
    assert (out, err) == (b"", b"note: PIL: Odd metadata\nnote: of nobody\n")
    _, err = prepared(root, code, PYTHONWARNINGS="always")
    assert b"/x/site-packages/PIL/I.py:3: UserWarning: Odd" in err and b"of developers" in err
