"""A training step whose freed memory the process keeps, against one that glibc gives back.

Each run is a process of its own, as glibc's rule can't be taken back. The networks are those that
`hnas search --data` proposes for 640 photos: six blocks, d = 96, 64 pixels.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F

from benchmarks.common import Row, compare, main
from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.cost.timing import seconds
from hnas.machine import keep_freed_memory
from hnas.network.glit import Glit
from hnas.settings import TrainingRules
from hnas.training.trainer import Trainer

FRAME = Frame(
    **{"image": 64, "channels": 3, "patch": 8, "classes": 20, "d": 96, "M": 6, "N": 3},
    **{"stem": "conv", "pool": "mean", "local": "conv2d"},
)
GROUPS = {"local": 0, "global": 3}
STEPS, BATCH = 8, 64


def training_step(frame: Frame, arch: Arch, batch: int) -> Callable[[], None]:
    """A step of a standalone network on random images: forward, backward, clipping and AdamW."""
    net, rules = Glit(frame, arch).reset(0).train(), TrainingRules(epochs=1)
    images = torch.randn(batch, frame.channels, frame.image, frame.image)
    labels, trainer = torch.randint(0, frame.classes, (batch,)), Trainer(net, rules)

    def step() -> None:
        F.cross_entropy(net(images), labels).backward()
        trainer.step(rules.lr, rules.clip)

    return step


def run(kind: str, threads: int) -> float:
    """Median seconds of a step of the all-local or the all-global network, in this process."""
    torch.set_num_threads(threads)
    block = FRAME.block(GROUPS[kind], FRAME.d, 4, 1, 5)
    step = training_step(FRAME, Arch((block,) * FRAME.M), BATCH)
    return statistics.median([seconds(step) for _ in range(STEPS + 3)][3:])


def elsewhere(way: str, kind: str) -> float:
    """The same in a process of its own."""
    command = [sys.executable, "-m", __spec__.name, way, kind, str(torch.get_num_threads())]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def measure(quick: bool) -> list[Row]:
    found = []
    for kind in GROUPS:
        ways = [partial(elsewhere, way, kind) for way in ("kept", "given-back")]
        pairs = [[way() for way in ways] for _ in range(1 if quick else 7)]
        ours, theirs = zip(*pairs, strict=True)
        found.append(compare(f"memory kept, step of an all-{kind} network", ours, theirs, None))
    return found


if __name__ == "__main__":
    if sys.argv[1:2] in (["kept"], ["given-back"]):
        if sys.argv[1] == "kept" and not keep_freed_memory():
            sys.exit("this C library has no such rule")
        print(run(sys.argv[2], int(sys.argv[3])))
    else:
        main(measure, __doc__)
