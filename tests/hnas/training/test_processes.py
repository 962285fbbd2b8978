"""Real processes on this machine, gloo on CPU: what two and four train is what one trains."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from safetensors.torch import load_file

from hnas.data import prepare
from hnas.errors import InputError, StateError
from hnas.settings import DataRules
from hnas.training import processes
from hnas.training.loop import train
from hnas.training.processes import ONE_PROCESS, World
from tests.support.forked import Process
from tests.support.ports import free_port
from tests.support.together import BROKEN, SHIFT, STOPS_AT, alone, trained

NAMES = (
    *("plain", "everything", "uneven"),
    *("supernet uniform", "supernet sandwich", "supernet stem", "resumed"),
)
TOLERANCE = {"rtol": 0.0, "atol": 2e-4}
"""Of a weight after three epochs, where the order of sums is another; elsewhere it is nothing."""


def start(folder: Path, size: int, *todo: str) -> list[Process]:
    """The processes of a world, first process first, as a launcher starts them."""
    port = free_port()
    return [
        Process(["-m", "tests.support.together", rank, size, port, folder, *todo], stdout=None)
        for rank in range(size)
    ]


def finish(processes: list[Process], seconds: float = 300) -> list[int | None]:
    """Exit code of each; None where it has not ended within `seconds`."""
    until = time.monotonic() + seconds
    for process in processes:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(max(0.0, until - time.monotonic()))
    codes = [process.poll() for process in processes]
    for process in processes:
        process.kill()
        process.wait()
    return codes


def said(folder: Path, size: int) -> str:
    return "".join((folder / f"said-{size}-{rank}").read_text() for rank in range(size))


def wait_for(file: Path, seconds: float = 300) -> None:
    until = time.monotonic() + seconds
    while not file.exists():
        assert time.monotonic() < until, f"no {file.name} in {seconds} s"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """By number of processes, a folder of what each had in the end; `half`'s checkpoint was made by
    two, and all went on from it."""
    first = tmp_path_factory.mktemp("two")
    assert finish(start(first, 2, "half", "copy", "trained")) == [0, 0], said(first, 2)
    folders = {2: first, 4: tmp_path_factory.mktemp("four"), 1: tmp_path_factory.mktemp("one")}
    for size in (4, 1):
        shutil.copytree(first / "copy", folders[size], dirs_exist_ok=True)
    assert finish(start(folders[4], 4, "trained")) == [0] * 4, said(folders[4], 4)
    return folders


@pytest.fixture(scope="module")
def one(made: dict[int, Path]) -> dict[str, tuple[dict[str, torch.Tensor], list[float]]]:
    """The same, trained by this process."""
    return {
        name: ({k: v.clone() for k, v in net.state_dict().items()}, losses)
        for name, (net, losses) in trained(ONE_PROCESS, made[1]).items()
    }


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [2, 4])
def test_many_train_what_one_trains(made, one, size, name):
    """Weights, running statistics, averaged weights and losses: to the last bit where the batch is
    dealt evenly to a power of two of processes. `supernet uniform` leaves weights unused."""
    weights, losses = one[name]
    exact = name != "uneven" or size == 2
    for rank in range(size):
        found = load_file(made[size] / f"{name}-{size}-{rank}")
        told = json.loads((made[size] / f"{name}-{size}-{rank}.json").read_text())
        assert found.keys() == weights.keys()
        for key, weight in weights.items():
            if exact:
                assert torch.equal(found[key], weight), key
            else:
                torch.testing.assert_close(found[key], weight, **TOLERANCE)
        assert told == losses if exact else told == pytest.approx(losses, abs=1e-5)


def test_a_checkpoint_of_two_goes_on_at_one_and_four(made, one):
    data = prepare(DataRules(limit=200), image=8, channels=1, seed=0)[0]
    unbroken = alone().reset(5)
    train(unbroken, data, BROKEN, SHIFT, seed=1)
    weights, losses = one["resumed"]
    assert len(losses) == BROKEN.epochs - STOPS_AT
    for key, weight in unbroken.state_dict().items():
        assert torch.equal(weight, weights[key])


def test_a_killed_process_ends_the_others_with_a_message(tmp_path):
    """Without a launcher that would end them."""
    processes = start(tmp_path, 2, "long")
    wait_for(tmp_path / "long.json")
    processes[1].kill()
    assert finish(processes, seconds=300) == [1, -signal.SIGKILL]
    text = said(tmp_path, 2)
    assert "Lost: another of the 2 processes that train together is gone (" in text
    assert "The last checkpoint is kept, and the same command resumes from there" in text


def test_a_process_that_falls_silent_ends_the_first_with_a_message(tmp_path):
    """It keeps its connections, so that none breaks: as a machine does that is cut off."""
    processes = start(tmp_path, 2, "impatient", "long")
    wait_for(tmp_path / "long.json")
    os.kill(processes[1].pid, signal.SIGSTOP)
    assert finish(processes[:1], seconds=60) == [1]
    finish(processes[1:], seconds=0)
    assert "Error: process 1 of 2 is gone, or stuck" in said(tmp_path, 2)


def test_a_process_that_has_ended_in_order_was_not_silent(monkeypatch):
    """The first may go on for long: a tracker sends what it has as the interpreter ends."""
    store, slept = dist.HashStore(), []

    def ended(code):
        raise AssertionError(f"ended with {code}")

    def sleep(seconds):
        slept.append(seconds)
        if len(slept) == 3:
            store.set("end", "")

    monkeypatch.setattr(os, "_exit", ended)
    monkeypatch.setattr(time, "sleep", sleep)
    store.add("alive/1", 1)
    processes._watch(store, 2)
    assert len(slept) == 3


@pytest.mark.slow
def test_the_others_end_with_a_killed_first_process(tmp_path):
    processes = start(tmp_path, 2, "long")
    wait_for(tmp_path / "long.json")
    processes[0].kill()
    assert finish(processes, seconds=300) == [-signal.SIGKILL, 1]


def worlds() -> tuple[World, World]:
    """Two processes' views of one store."""
    store = dist.HashStore()
    return World(0, 2, store), World(1, 2, store)


def test_what_a_process_tells_the_first_one_shows():
    first, other = worlds()
    other.tell(InputError("there is no folder of images"))
    other.tell(InputError("and then something that comes of it"))
    with (
        pytest.raises(StateError, match=r"^process 1 of 2: there is no folder of images$"),
        first.process_group(torch.device("cpu")),
    ):
        pass


def test_a_defect_is_told_with_its_traceback():
    first, other = worlds()
    try:
        raise ZeroDivisionError
    except ZeroDivisionError as error:
        other.tell(error)
    with (
        pytest.raises(StateError, match=r"(?s)^process 1 of 2: Traceback .*ZeroDivisionError"),
        first.process_group(torch.device("cpu")),
    ):
        pass


def test_jobs_come_in_the_order_they_were_asked_for():
    first, other = worlds()
    for number in range(3):
        first.ask({"task": "count", "number": number})
    jobs = other.jobs()
    assert [next(jobs)["number"] for _ in range(3)] == [0, 1, 2]
    ONE_PROCESS.ask({"task": "nobody is there"})


def test_more_processes_than_micro_batches_are_refused():
    for size, count in ((4, 3), (2, 1)):
        with pytest.raises(InputError, match=rf"{size} processes .* has {count} micro-batches"):
            World(0, size).share(count)


@pytest.mark.parametrize(("size", "count"), [(1, 1), (2, 8), (3, 7), (4, 6), (5, 5)])
def test_every_micro_batch_is_one_processs(size, count):
    shares = [list(World(rank, size).share(count)) for rank in range(size)]
    assert [number for share in shares for number in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
