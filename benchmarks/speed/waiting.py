"""A training step whose threads wait briefly for each other (`hnas.machine.wait_briefly`), compared
with PyTorch's default: beside no other work, and beside programs that keep one and all cores busy.
A row takes about a minute, --quick half a minute. It needs a machine that does nothing else.

Each run is a process of its own, as OpenMP reads its settings once. The networks are the smallest
and the largest that a search on a CPU meets: the digits preset's, and a proposal's for photos.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import partial

import torch

from benchmarks.common import Row, compare, main
from benchmarks.speed.memory_kept import training_step
from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.cost.timing import seconds
from hnas.machine import BRIEFLY, SPINS, cores

FRAMES = {
    "digits": Frame(image=8, channels=1, patch=2, classes=10, d=48, M=6, N=3),
    "photos": Frame(
        **{"image": 64, "channels": 3, "patch": 16, "classes": 20, "d": 192, "M": 2, "N": 3},
        **{"stem": "residual", "pool": "mean", "local": "conv2d"},
    ),
}
BATCHES = {"digits": 128, "photos": 32}
MOST, ENOUGH = 40, 3.0
"""Steps of a run, and seconds after which it ends earlier: a busy machine may take one a step."""


def run(kind: str) -> float:
    """Median seconds of a step of a network that is half global, in this process."""
    frame, batch = FRAMES[kind], BATCHES[kind]
    groups = [frame.N if i % 2 else 0 for i in range(frame.M)]
    arch = Arch(tuple(frame.block(G, frame.d, 4, 1, 3) for G in groups))
    step = training_step(frame, arch, batch)
    step()
    took: list[float] = []
    while len(took) < MOST and sum(took) < ENOUGH:
        took.append(seconds(step))
    return statistics.median(took)


def elsewhere(kind: str, spins: str | None) -> float:
    """The same in a process of its own, which has as many threads as there are cores."""
    ours = {} if spins is None else {SPINS: spins}
    env = {name: value for name, value in os.environ.items() if name != SPINS} | ours
    env["OMP_NUM_THREADS"] = str(torch.get_num_threads())
    command = [sys.executable, "-m", __spec__.name, "run", kind]
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return float(found.stdout)


@contextlib.contextmanager
def busy(count: int) -> Iterator[None]:
    """So many programs that compute as long as this one lives, in sessions of their own, as another
    user's."""
    loop = [sys.executable, "-c", f"import os\nwhile os.getppid() == {os.getpid()}: pass"]
    programs = [subprocess.Popen(loop, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def measure(quick: bool) -> list[Row]:
    found = []
    for kind in FRAMES:
        for others in sorted({0, 1, cores()}):
            ways = [partial(elsewhere, kind, spins) for spins in (BRIEFLY, None)]
            with busy(others):
                pairs = [[way() for way in ways] for _ in range(1 if quick else 3)]
            ours, theirs = zip(*pairs, strict=True)
            name = f"step of {kind} beside {others} busy program{'s'[: others != 1]}"
            found.append(compare(name, ours, theirs, None))
            print(f"{name}: {found[-1].ratio:.2f}x", file=sys.stderr, flush=True)
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["run"]:
        print(run(sys.argv[2]))
    else:
        main(measure, __doc__)
