"""Does torch.compile pay for a network's blocks on this CPU?

Forward and backward of one Glit, its blocks compiled each by itself (`dynamic=False`: a graph for
each kind and size of block), against the same network as it is. The first row is what compiling
costs: `ours` is the first step with it, `theirs` one step without. Needs a C++ compiler.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F

from benchmarks.common import Row, alternate, compare, main
from hnas.architecture.arch import Arch
from hnas.network.glit import Glit
from hnas.studies.plan.toml import load_preset


def step(net: Glit, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    """Forward and backward."""

    def run() -> None:
        F.cross_entropy(net(images), labels).backward()
        net.zero_grad(set_to_none=True)

    return run


def measure(quick: bool) -> list[Row]:
    rows = []
    for name in ("digits",) if quick else ("digits", "fashion-mnist"):
        plan = load_preset(name)
        frame, s = plan.net, plan.stage1
        kinds = (0, 1, 2, 3)  # each is compiled once
        arch = Arch(
            tuple(frame.block(kinds[i % 4], s.d_k, s.d_z, s.E, s.K) for i in range(frame.M))
        )
        batch = plan.retrain.training.batch
        images = torch.randn(batch, frame.channels, frame.image, frame.image)
        labels = torch.randint(frame.classes, (batch,))
        plain, compiled = Glit(frame, arch).reset(0), Glit(frame, arch).reset(0)
        for block in compiled.blocks:
            block.compile(dynamic=False)
        ours, theirs = (step(net, images, labels) for net in (compiled, plain))
        began = time.perf_counter()
        ours()
        first = time.perf_counter() - began
        mine, other = alternate(ours, theirs, pairs=3 if quick else 25)
        rows.append(
            compare(f"the first step compiles, {name}, batch {batch}", [first], other[:1], None)
        )
        rows.append(compare(f"a step, {name}, batch {batch}", mine, other, None))
    return rows


if __name__ == "__main__":
    main(measure, __doc__)
