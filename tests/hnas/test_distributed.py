"""Real processes on this machine, gloo on CPU: what two and four train is what one trains."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from together import BROKEN, SHIFT, STOPS_AT, alone, trained

from hnas.data import prepare
from hnas.errors import InputError
from hnas.rules import DataRules
from hnas.training.distributed import ALONE, World
from hnas.training.loop import train

pytestmark = pytest.mark.slow

NAMES = ("plain", "everything", "uneven", "supernet uniform", "supernet sandwich", "resumed")
TOLERANCE = {"rtol": 0.0, "atol": 2e-4}
"""Of a weight after three epochs, where the order of sums is another; elsewhere it is nothing."""


def start(root: Path, size: int, *todo: object) -> list[subprocess.Popen[str]]:
    """The processes of a world, first process first, as a launcher starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return [
        subprocess.Popen(
            [sys.executable, root / "tests/together.py", *map(str, todo)],
            env={
                **os.environ,
                **{"PYTHONPATH": str(root), "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "FATAL"},
                **{"RANK": str(rank), "WORLD_SIZE": str(size)},
                **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)},
            },
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for rank in range(size)
    ]


def finish(processes: list[subprocess.Popen[str]], seconds: float = 300) -> list[tuple[int, str]]:
    """Exit code and standard error of each; all have ended within `seconds`."""
    until = time.monotonic() + seconds
    ended = [process.communicate(timeout=until - time.monotonic()) for process in processes]
    return [(p.returncode, text[1]) for p, text in zip(processes, ended, strict=True)]


@pytest.fixture(scope="module")
def made(root: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """By number of processes, a folder of what each had in the end; `half`'s checkpoint was made by
    two, and all went on from it."""
    first = tmp_path_factory.mktemp("two")
    ended = finish(start(root, 2, first, "half", "copy", "trained"))
    assert [code for code, _ in ended] == [0, 0], ended
    folders = {2: first, 4: tmp_path_factory.mktemp("four"), 1: tmp_path_factory.mktemp("one")}
    for size in (4, 1):
        shutil.copytree(first / "copy", folders[size], dirs_exist_ok=True)
    ended = finish(start(root, 4, folders[4], "trained"))
    assert [code for code, _ in ended] == [0] * 4, ended
    return folders


@pytest.fixture(scope="module")
def one(made: dict[int, Path]) -> dict[str, tuple[dict[str, torch.Tensor], list[float]]]:
    """The same, trained by this process."""
    return {
        name: ({k: v.clone() for k, v in net.state_dict().items()}, losses)
        for name, (net, losses) in trained(ALONE, made[1]).items()
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
    data = prepare(DataRules(limit=400), image=8, channels=1, seed=0)[0]
    unbroken = alone().reset(5)
    train(unbroken, data, BROKEN, SHIFT, seed=1)
    weights, losses = one["resumed"]
    assert len(losses) == BROKEN.epochs - STOPS_AT
    for key, weight in unbroken.state_dict().items():
        assert torch.equal(weight, weights[key])


def test_a_killed_process_ends_the_others_with_a_message(root, tmp_path):
    """Without a launcher that would end them."""
    processes = start(root, 2, tmp_path, "long")
    assert processes[0].stdout is not None
    assert processes[0].stdout.readline() == "epoch\n"
    processes[1].send_signal(signal.SIGKILL)
    (first, text), _ = finish(processes, seconds=60)
    assert first == 1 and "Lost: another of the 2 processes that train together is gone (" in text
    assert "The last checkpoint is kept, and the same command goes on from there" in text
    assert (tmp_path / "long.json").exists()


def test_the_others_end_with_a_killed_first_process(root, tmp_path):
    processes = start(root, 2, tmp_path, "long")
    assert processes[0].stdout is not None
    assert processes[0].stdout.readline() == "epoch\n"
    processes[0].send_signal(signal.SIGKILL)
    _, (other, _) = finish(processes, seconds=60)
    assert other == 1


def test_more_processes_than_micro_batches_are_refused():
    for size, count in ((4, 3), (2, 1)):
        with pytest.raises(InputError, match=rf"{size} processes .* has {count} micro-batches"):
            World(0, size).share(count)


@pytest.mark.parametrize(("size", "count"), [(1, 1), (2, 8), (3, 7), (4, 6), (5, 5)])
def test_every_micro_batch_is_one_processs(size, count):
    shares = [list(World(rank, size).share(count)) for rank in range(size)]
    assert [number for share in shares for number in share] == list(range(count))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
