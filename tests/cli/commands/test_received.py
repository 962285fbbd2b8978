"""A run from someone else: whoever reads it calls no server and runs no code that it names."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from hnas.cli.main import COMMANDS, hnas, load
from hnas.errors import InputError
from hnas.studies.api import open_run
from hnas.studies.dashboard.server import WSGIServer
from hnas.studies.run.folder import Run, shared_run

FILES = {
    "export": ("export", "RUN", "--to", "net"),
    "predict": ("predict", "RUN", "image.png"),
    "latency": ("latency", "RUN", "--rounds", 1),
}
"""Commands that read files of a run alone."""
READS = {
    "status": ("status", "--run", "RUN"),
    "report": ("report", "RUN", "--to", "page.html"),
    "analyze": ("analyze", "RUN"),
    "dashboard": ("dashboard", "--run", "RUN", "--port", 0),
}
"""Commands that read its studies too."""
RUNS = {
    "search": ("search", "--run", "RUN", "--trials", 12),
    "retrain": ("retrain", "--run", "RUN", "--epochs", 3),
    "rank": ("rank", "--run", "RUN", "--n", 4),
    "reproduce": ("reproduce", "RUN"),
}
"""Commands that load its images and open its studies."""
IMAGES = {"export --int8": ("export", "RUN", "--to", "net", "--int8")}
"""Commands that load its images alone."""
ELSEWHERE = {"worker": "its own test below", "compare": "searches the plans that are typed"}


def test_every_command_that_takes_a_run_is_tried() -> None:
    def takes_a_run(command: click.Command) -> bool:
        return any(
            one.name in ("folder", "run", "option") and isinstance(one.type, click.Path)
            for one in command.params
        )

    known = {name for name in COMMANDS if takes_a_run(load(name))}
    assert known == {*FILES, *READS, *RUNS, *ELSEWHERE}


@pytest.fixture
def received(
    tmp_path: Path, finished: tuple[Path, Result], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A finished run where runs lie; the current folder is above."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("image.png")

    def ends(server: WSGIServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(WSGIServer, "serve_forever", ends)
    return Path(shutil.copytree(finished[0], Path("runs", finished[0].name)))


def invoke(*args: object) -> Result:
    return CliRunner().invoke(hnas, [*map(str, args)], catch_exceptions=False)


def asked(command: tuple[object, ...], run: Path) -> Result:
    return invoke(*(run if word == "RUN" else word for word in command))


# Code


def names_a_source(run: Path) -> Path:
    change(run, "source = 'digits'", f"source = 'runs.{run.name}.evil:images'")
    return run


def names_a_teacher(run: Path) -> Path:
    change(run, "teacher = ''", f"teacher = 'runs.{run.name}.evil:images'")
    return run


def names_a_metric(run: Path) -> Path:
    metric = f"runs.{run.name}.evil:images"
    change(run, "metric = 'accuracy'", f"metric = '{metric}'")
    result = (run / "result.json").read_text()
    assert '"metric"' not in result
    (run / "result.json").write_text(json.dumps(json.loads(result) | {"metric": metric}))
    return run


def names_code_of_the_folder_it_is_read_in(run: Path) -> Path:
    change(run, "source = 'digits'", "source = 'runs.evil:images'")
    shutil.copy(run / "evil.py", "runs/evil.py")
    return run


def change(run: Path, old: str, new: str) -> None:
    text = (run / "plan.toml").read_text().replace('"', "'")
    assert text.count(old) == 1
    (run / "plan.toml").write_text(text.replace(old, new))


EVIL = """import pathlib
def images(): raise RuntimeError(pathlib.Path("ran").touch())
images()
"""


@pytest.mark.parametrize(
    ("names", "readers"),
    [
        (names_a_source, (*FILES, *READS)),
        (names_a_teacher, ("export", "status")),
        (names_a_metric, (*FILES, *READS)),
        (names_code_of_the_folder_it_is_read_in, ("status",)),
    ],
)
def test_no_code_of_it_runs_unasked(
    received: Path, names: Callable[[Path], Path], readers: tuple[str, ...]
) -> None:
    (received / "evil.py").write_text(EVIL)
    run = names(received)
    for name in readers:
        command = {**FILES, **READS}[name]
        result = asked(command, run)
        assert result.exit_code == (130 if name == "dashboard" else 0), result.output
    for name, command in {**RUNS, **IMAGES}.items():
        result = asked(command, run)
        assert result.exit_code == 2, name
        assert f"Error: the run {run} names code to run: " in result.stderr
        assert "evil:images'. A plan may not run code unasked. Look at the code, then give " in (
            result.stderr
        )
    assert not Path("ran").exists()
    result = asked((*RUNS["search"], "--allow-code"), run)
    assert result.exit_code == 2, result.output
    assert Path("ran").exists() == (names is not names_a_metric)  # another metric is refused first


def test_python_ranks_no_run_that_names_code_unasked(received: Path) -> None:
    (received / "evil.py").write_text(EVIL)
    found = open_run(names_a_source(received))
    with pytest.raises(InputError, match=r"names code to run: .* then give allow_code=True$"):
        found.rank()
    assert not Path("ran").exists()
    with pytest.raises(InputError, match="evil:images"):
        found.rank(architectures=4, allow_code=True)
    assert Path("ran").exists()


def test_no_worker_runs_code_of_a_run_unasked(
    received: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither in a folder that a search names, nor in the one that was typed."""
    checks: list[Callable[[Run], None]] = []

    def from_folders(*_: object, check: Callable[[Run], None], **__: object) -> object:
        checks.append(check)
        raise InputError("enough")

    monkeypatch.setattr("hnas.studies.scoring.from_run.from_folders", from_folders)
    run = shared_run(names_a_source(received))
    for args in ((), ("--run", str(received))):
        assert "enough" in invoke("worker", *args, "--storage", "sqlite:///x.db").stderr
        with pytest.raises(InputError, match=r"names code to run: .* then give --allow-code$"):
            checks.pop()(run)
    invoke("worker", "--allow-code", "--storage", "sqlite:///x.db")
    checks.pop()(run)


# A server


@contextmanager
def listening() -> Iterator[tuple[int, list[Any]]]:
    """A port, and who has called there; a caller is hung up on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        called: list[Any] = []

        def answer() -> None:
            while True:
                try:
                    caller, address = server.accept()
                except OSError:
                    return
                called.append(address)
                caller.close()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield server.getsockname()[1], called
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def tells(run: Path, storage: str) -> None:
    (run / "run.json").write_text(json.dumps({"name": run.name, "storage": storage}))


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me@127.0.0.1:{port}/db", "postgresql://me@127.0.0.1:{port}/db"),
        ("postgresql://me:pw@127.0.0.1:{port}/db", "postgresql://me:***@127.0.0.1:{port}/db"),
        ("postgresql:///db?host=127.0.0.1&port={port}", "postgresql:///db?host=127.0.0.1&port="),
        ("mysql+pymysql://me@127.0.0.1:{port}/db", "mysql+pymysql://me@127.0.0.1:{port}/db"),
        ("sqlite:///../other.db", "sqlite:////"),  # shown absolute
    ],
)
def test_no_storage_that_it_names_is_opened_unasked(received: Path, url: str, shown: str) -> None:
    with listening() as (port, called):
        tells(received, url.format(port=port))
        assert asked(FILES["export"], received).exit_code == 0
        for name, command in {**READS, **RUNS}.items():
            result = asked(command, received)
            assert result.exit_code == 2, name
            assert f"keeps its studies in {shown.format(port=port)}" in result.stderr
            assert "give that --storage" in result.stderr
        assert called == []


def test_the_server_that_was_asked_for_is_opened(received: Path) -> None:
    pytest.importorskip("psycopg")
    with listening() as (port, called):
        url = f"postgresql://me@127.0.0.1:{port}/db"
        tells(received, url)
        result = asked((*READS["status"], "--storage", url), received)
        assert result.exit_code == 2 and "cannot be used" in result.stderr
        assert called
