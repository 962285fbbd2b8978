"""MACs and parameters of an Arch: counted by `hnas.cost.flops`, against thop on the network."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import torch

from benchmarks.common import Row, compare, main
from hnas.architecture.space import Space
from hnas.cost import flops as costs
from hnas.cost.timing import seconds
from hnas.network.thop_twin import Textbook
from hnas.studies.plan.toml import load_preset


def against_thop(space: Space, *, archs: int) -> list[Row]:
    """One pair an arch: at first its blocks are new to `cost`, then known, as soon in a search."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # thop's distutils
        import thop

    rng, frame = np.random.default_rng(0), space.frame
    images = torch.zeros(1, frame.channels, frame.image, frame.image)
    new, known, theirs = [], [], []
    for arch in [space.sample(rng) for _ in range(archs)]:
        count = partial(costs.cost, frame, arch)
        costs.block_cost.cache_clear()
        new.append(seconds(count))
        known.append(seconds(count))
        net = Textbook(frame, arch)
        theirs.append(seconds(partial(thop.profile, net, (images,), verbose=False)))
    return [
        compare("cost of an Arch of known blocks, against thop.profile", known, theirs, ">= 1000"),
        compare("cost of an Arch of new blocks, against thop.profile", new, theirs, None),
    ]


def vectorised(space: Space, *, archs: int, repeats: int) -> Row:
    """Against a second for a million."""
    rng = np.random.default_rng(0)
    sizes = [len(choices) for choices in space.choices]
    index = rng.integers(sizes, size=(archs, len(sizes)))
    costs.costs(space, index)
    times = [seconds(lambda: costs.costs(space, index)) for _ in range(repeats)]
    second = [archs / 1_000_000] * repeats
    return compare(f"{archs:,} Archs at once, against 1,000,000 a second", times, second, ">= 1")


def measure(quick: bool) -> list[Row]:
    space = load_preset("digits" if quick else "glit-tiny").space2()
    return [
        *against_thop(space, archs=2 if quick else 40),
        vectorised(space, archs=1000 if quick else 1_000_000, repeats=2 if quick else 9),
    ]


if __name__ == "__main__":
    main(measure, __doc__)
