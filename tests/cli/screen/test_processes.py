"""`torchrun ... hnas search`: real processes, and the same run as without."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner

from hnas.cli.main import hnas
from hnas.cli.screen import processes
from hnas.studies.run.folder import open_run
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records

TORCHRUN = [
    *(sys.executable, "-m", "torch.distributed.run"),
    *("--standalone", "--nproc-per-node", "2", "-m", "--"),
]
"""`--standalone`: at a port of its own, not at the one that every launcher takes."""


@pytest.fixture(scope="module")
def plan(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny plan, each batch of 32 in two micro-batches."""
    path = tmp_path_factory.mktemp("plans") / "shared.toml"
    text = tiny.read_text().replace("lr =", "batch = 32, micro_batch = 16, lr =")
    path.write_text(text)
    return path


def started(root: Path, *args: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*TORCHRUN, "hnas.cli.main", *map(str, args)],
        env={**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def outcome(folder: Path) -> dict[str, object]:
    """Everything that must not depend on the number of processes."""
    run = open_run(folder)
    storage = open_storage(run.storage)
    return {
        "trials": [
            [(r.number, r.arch, r.accuracy, r.loss) for r in records(open_study(storage, name))]
            for name in map(run.study_name, (1, 2))
        ],
        "weights": {
            file.name: json.loads(file.read_text())["versions"][0]["sha256"]
            for part in ("checkpoints", "networks")
            for file in sorted((folder / part).glob("*.json"))
        },
        "result": json.loads((folder / "result.json").read_text()),
    }


@pytest.mark.parametrize(
    ("code", "expected"), [(None, 0), (0, 0), (2, 2), (True, 1), ("it failed", 1)]
)
def test_the_first_process_ends_at_once_with_the_command_s_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code, expected: int
) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    monkeypatch.setenv("RANK", "0")
    closed: list[str] = []
    world = SimpleNamespace(close=lambda: closed.append("closed"))
    monkeypatch.setattr("hnas.training.processes.connect", lambda: world)

    def command(**_: object) -> None:
        assert not closed
        sys.exit(code)

    processes.run(command)
    assert ended == [expected] and closed == ["closed"]
    assert capsys.readouterr().err == ("it failed\n" if code == "it failed" else "")


def test_two_processes_search_what_one_searches(root: Path, tmp_path: Path, plan: Path) -> None:
    """To the last bit: trials, scores, checkpoints with optimizer and averages, a teacher that the
    first has trained, the result."""
    folders = [tmp_path / number / "run" for number in ("one", "two")]
    taught = ["--set", "retrain.distillation.teacher=cnn", "--set", "retrain.refit=true"]
    args = [
        ["search", "--plan", plan, "--run", folder, "--device", "cpu", *taught]
        for folder in folders
    ]
    process = started(root, *args[1])
    alone = CliRunner().invoke(hnas, [str(arg) for arg in args[0]], catch_exceptions=False)
    said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert said.count("The winner compared with an all-global network") == 1
    assert "both learned from the small CNN" in said
    assert "to train a small CNN to compare with" not in said  # it stands there
    assert outcome(folders[1]) == outcome(folders[0])
    ends = [text.split("test images:")[1].replace("two", "one") for text in (alone.stdout, said)]
    # Milliseconds differ, and with them whether a sentence offers to search for them.
    first, second = (re.sub(r"\nOne image takes .*?\n\n", "\n\n", end, flags=re.S) for end in ends)
    assert first == second
    assert "Traceback" not in errors


def test_a_batch_that_cannot_be_dealt_is_told_by_one(
    root: Path, tmp_path: Path, tiny: Path
) -> None:
    process = started(root, "search", "--plan", tiny, "--run", tmp_path / "run", "--device", "cpu")
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1  # torchrun's
    assert errors.count("Error: 2 processes train together and a step has 1 micro-batches") == 1
    assert "set a smaller micro_batch in the plan's tables of training" in errors


@pytest.fixture
def long(plan: Path, tmp_path: Path) -> Path:
    path = tmp_path / "long.toml"
    path.write_text(plan.read_text().replace("epochs = 2", "epochs = 20000"))
    return path


@pytest.fixture
def searching(root: Path, tmp_path: Path, long: Path) -> Iterator[subprocess.Popen[str]]:
    """A search by two processes whose supernet trains; its run is in `run`."""
    run = tmp_path / "run"
    process = started(root, "search", "--plan", long, "--run", run, "--device", "cpu")
    until = time.monotonic() + 120
    while not (run / "checkpoints" / "supernet1.json").exists():
        assert process.poll() is None and time.monotonic() < until
        time.sleep(0.1)
    yield process
    process.kill()
    process.communicate()


def ranks(process: subprocess.Popen[str]) -> dict[int, int]:
    """The process of each rank."""
    found = {}
    for task in Path(f"/proc/{process.pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            names = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            if rank := [name[5:] for name in names if name.startswith(b"RANK=")]:
                found[int(rank[0])] = int(child)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["Ctrl-C", "other killed", "first killed"])
def test_whatever_ends_one_ends_all_and_nothing_is_lost(
    searching: subprocess.Popen[str], fault: str, tmp_path: Path, long: Path
) -> None:
    found = ranks(searching)
    assert found.keys() == {0, 1}
    if fault == "Ctrl-C":
        searching.send_signal(signal.SIGINT)
    else:
        os.kill(found[fault == "other killed"], signal.SIGKILL)
    began = time.monotonic()
    _, errors = searching.communicate(timeout=300)
    assert time.monotonic() - began < 25
    told = [line for line in errors.splitlines() if line.startswith(("Error: ", "Interrupted."))]
    if fault == "Ctrl-C":
        assert told == [
            f"Interrupted. Finished work is kept in {tmp_path / 'run'}. Resume with: "
            f"torchrun ... --no-python -- hnas search --plan {long} --run {tmp_path / 'run'} "
            "--device cpu"
        ]
    elif fault == "other killed":
        assert len(told) == 1
        assert "gone" in told[0] or "Interrupted" in told[0]
    for pid in found.values():
        assert not Path(f"/proc/{pid}").exists()
    with open_run(tmp_path / "run").hold():  # nobody has it
        pass
    checkpoint = json.loads((tmp_path / "run/checkpoints/supernet1.json").read_text())
    assert checkpoint["versions"][0]["meta"]["epoch"] >= 1
