"""Latency tables that nobody measured: what they say is drawn, and the same every time."""

from __future__ import annotations

import numpy as np

from hnas.architecture.space import Space
from hnas.cost.latency_table import LatencyTable, Whole


def fake_table(*spaces: Space, seed: int = 0) -> LatencyTable:
    """Of all blocks of the spaces and of the all-global network's, which are the fastest."""
    rng = np.random.default_rng(seed)
    frame = spaces[0].frame
    plain = frame.all_global()
    blocks = {block for space in spaces for choices in space.choices for block in choices}
    times = {
        block: int(rng.integers(20_000, 90_000))
        for block in sorted(blocks, key=lambda block: block.key)
    }
    times[plain.blocks[0]] = 19_999
    whole = spaces[-1].sample(rng)
    measured = 50_000 + sum(times[block] for block in whole.blocks)
    return LatencyTable(
        batch=1,
        shared=50_000,
        blocks=times,
        spread=0.01,
        plain={d: 50_000 + frame.M * 19_999 * d // frame.d for d in (frame.d // 2, frame.d)},
        whole=(Whole(arch=whole, measured=measured), Whole(arch=plain, measured=100_000)),
    )
