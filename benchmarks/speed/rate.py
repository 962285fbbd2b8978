"""How much of oneDNN's own rate a supernet's step reaches, forward and backward, in fp32.

oneDNN's own rate is that of the FFN's two maps at the preset's batch as 1 x 1 convolutions, forward
and backward, with nothing around them. A step has smaller maps, attention, a local head, norms and
activations too; only its products are counted.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.common import Row, alternate, main, paper_preset
from hnas.architecture.space import Space
from hnas.cost.flops import cost
from hnas.network.supernet import Supernet

PAIRS = 9


def alone(frame_tokens: int, d: int, m: int, batch: int) -> tuple[Callable[[], None], float]:
    """The FFN's maps alone, and the multiply-accumulates of a forward pass."""
    image = torch.randn(batch, d, 1, frame_tokens).contiguous(memory_format=torch.channels_last)
    first, second = (torch.randn(*size, 1, 1, requires_grad=True) for size in ((m, d), (d, m)))

    def run() -> None:
        hidden = F.conv2d(image.requires_grad_(), first)
        F.conv2d(hidden, second).backward(image.detach())

    return run, 2.0 * batch * frame_tokens * d * m


def row(name: str, batch: int, pairs: int) -> Row:
    """Rates in multiply-accumulates a second, three of a forward pass's for a step."""
    plan = paper_preset(name)
    space: Space = plan.space2()
    frame, net = plan.net, Supernet(space).reset(0).train()
    images = torch.randn(batch, frame.channels, frame.image, frame.image)
    run, macs = alone(frame.T, frame.d, 4 * frame.d, batch)
    ours: list[float] = []
    theirs: list[float] = []
    rng = np.random.default_rng(0)
    for arch in (space.sample(rng) for _ in range(pairs)):
        step, own = alternate(
            lambda arch=arch: net(images, arch).square().mean().backward(),  # type: ignore[misc]
            run,
            pairs=1,
        )
        ours += [3 * batch * cost(frame, arch).macs / seconds for seconds in step]
        theirs += [3 * macs / seconds for seconds in own]
    shares = [a / b for a, b in zip(ours, theirs, strict=True)]
    return Row(
        name=f"step's share of oneDNN's rate, {name}, batch {batch}",
        ours=statistics.median(ours),
        theirs=statistics.median(theirs),
        unit="/s",
        ratio=statistics.median(shares),
        lowest=min(shares),
        highest=max(shares),
        pairs=len(shares),
        target=">= 0.55",
    )


def measure(quick: bool) -> list[Row]:
    sizes = {"fashion-mnist": 128} if quick else {"fashion-mnist": 128, "cifar10": 128}
    return [
        row(name, 16 if quick else batch, 1 if quick else PAIRS) for name, batch in sizes.items()
    ]


if __name__ == "__main__":
    main(measure, __doc__)
