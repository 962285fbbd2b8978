"""Latency tables, measured: the time of each block on a device.

Time a network of M equal blocks, subtract the shared part, divide by M: that is a block's time. A
single block would stay in caches that a network does not fit in, and a GPU would be waited for
launch by launch. All networks are measured in turn, each round in another order, and built when
their turn comes, so that one at a time is in memory.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from hnas.architecture.arch import SKIPPED, Arch, Block
from hnas.architecture.space import Frame
from hnas.cost.latency import pass_seconds
from hnas.cost.latency_table import LatencyTable, Whole
from hnas.cost.timing import Clock, in_turn
from hnas.device import seeded
from hnas.network.glit import Glit, Trunk

ROUNDS = 11
PASSES = 3
"""Timed passes of a network in a round, after one that is not."""
WIDTHS = 16
"""All-global networks to be compared with, from half the frame's width to twice of it."""


class _Ends(Trunk):
    """The shared part of all networks of a frame, without a block."""

    def forward(self, images: Tensor) -> Tensor:
        return self.logits(self.tokens(images))


def measure(
    frame: Frame,
    blocks: Iterable[Block],
    whole: Sequence[Arch],
    device: torch.device,
    *,
    batch: int = 1,
    rounds: int = ROUNDS,
    clock: Clock = time.perf_counter,
    on_round: Callable[[int, int], None] = lambda done, rounds: None,
) -> LatencyTable:
    """The table of `blocks`, in fp32 and eval mode, and how long the `whole` networks take. A
    skipped block takes no time, and is not measured."""
    asked = set(blocks)
    blocks = sorted(asked - {SKIPPED}, key=lambda block: block.key)
    frames = [replace(frame, d=d) for d in widths(frame)]
    builds: list[Callable[[], nn.Module]] = [
        partial(_Ends, frame),
        *(partial(Glit, frame, Arch((block,) * frame.M)) for block in blocks),
        *(partial(Glit, each, each.all_global()) for each in frames),
        *(partial(Glit, frame, arch) for arch in whole),
    ]
    images = torch.zeros(batch, frame.channels, frame.image, frame.image, device=device)
    timers = [partial(_seconds, build, images, clock) for build in builds]
    rng = np.random.default_rng(0)
    spent: list[list[float]] = []
    for row in in_turn(timers, (rng.permutation(len(timers)) for _ in range(rounds))):
        spent.append(row)
        on_round(len(spent), rounds)
    # Another process slows some rounds down, and none up: the lower quartile repeats best.
    low, median, high = np.quantile(spent, (0.25, 0.5, 0.75), axis=0)
    ends, *rest = (round(1e9 * seconds) for seconds in low.tolist())
    own = slice(1, 1 + len(blocks))
    return LatencyTable(
        batch=batch,
        shared=ends,
        blocks={
            block: max(round((its - ends) / frame.M), 1)
            for block, its in zip(blocks, rest, strict=False)
        }
        | dict.fromkeys(asked & {SKIPPED}, 0),
        spread=float(np.mean((high - low)[own] / median[own] / 2)),
        plain=dict(zip(widths(frame), rest[len(blocks) :], strict=False)),
        whole=tuple(
            Whole(arch=arch, measured=its)
            for arch, its in zip(whole, rest[len(rest) - len(whole) :], strict=True)
        ),
    )


def widths(frame: Frame) -> list[int]:
    """Token widths of all-global networks: up to WIDTHS multiples of N x heads and the frame's."""
    step = frame.N * frame.heads
    least, most = max(frame.d // 2 // step, 1), max(2 * frame.d // step, 1)
    spread = np.linspace(least, most, min(WIDTHS, most - least + 1)).round().astype(int)
    return sorted({frame.d, *(step * int(n) for n in spread)})


def _seconds(build: Callable[[], nn.Module], images: Tensor, clock: Clock) -> float:
    """The median of PASSES of a network with random weights, which disturb nobody's draws."""
    with seeded(0, images.device), images.device:
        net = build().eval()
    return statistics.median([pass_seconds(net, images, clock) for _ in range(1 + PASSES)][1:])
