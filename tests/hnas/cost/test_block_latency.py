"""Measuring a latency table: sums of what was measured, and a real measurement."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

from hnas.architecture.arch import SKIPPED, Arch
from hnas.architecture.space import Frame, distribution_space, skippable
from hnas.cost.block_latency import PASSES, measure, widths
from hnas.cost.latency_table import LatencyTable
from hnas.errors import InputError

FRAME = Frame(image=8, channels=1, patch=4, classes=3, d=12, M=2, N=3)
SPACE = distribution_space(FRAME, d_k=12, d_z=4, E=1, K=3)
BLOCKS = SPACE.choices[0]
WHOLE = [SPACE.sample(np.random.default_rng(seed)) for seed in range(3)]
CPU = torch.device("cpu")


@pytest.mark.parametrize("change", [{}, {"stem": "conv", "pool": "mean"}], ids=["paper", "conv"])
def test_a_real_measurement(change: dict[str, str]) -> None:
    frame = replace(FRAME, **change)
    before, told = torch.random.get_rng_state(), []
    began = time.perf_counter()
    table = measure(
        frame, BLOCKS, WHOLE, CPU, batch=2, rounds=3, on_round=lambda *at: told.append(at)
    )
    spent = time.perf_counter() - began
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert (table.batch, set(table.blocks)) == (2, set(BLOCKS))
    assert list(table.plain) == widths(FRAME) and FRAME.d in table.plain
    assert [one.arch for one in table.whole] == WHOLE
    times = [table.shared, *table.blocks.values(), *table.plain.values()]
    assert all(1 <= its < 1e9 * spent for its in (*times, *(one.measured for one in table.whole)))
    assert torch.equal(torch.random.get_rng_state(), before)  # nobody's draws are disturbed


def test_a_network_of_one_kind_of_block_is_what_was_measured() -> None:
    """By a clock that counts its calls every pass takes the same: blocks then take nothing but the
    least that is told."""
    ticks = itertools.count()
    table = measure(FRAME, BLOCKS, WHOLE, CPU, rounds=2, clock=lambda: float(next(ticks)))
    assert next(ticks) == 2 * 2 * (1 + PASSES) * (1 + len(BLOCKS) + len(table.plain) + len(WHOLE))
    assert table.shared == 10**9 and set(table.blocks.values()) == {1}
    assert table.spread == 0
    assert table.of(Arch((BLOCKS[0],) * 2)) == 10**9 + 2


def test_a_block_that_is_skipped_takes_no_time() -> None:
    skipping = skippable(distribution_space(FRAME, d_k=12, d_z=4, E=1, K=3)).choices[1]
    ticks = itertools.count()
    table = measure(FRAME, skipping, (), CPU, rounds=1, clock=lambda: float(next(ticks)))
    assert next(ticks) == 2 * (1 + PASSES) * (1 + len(BLOCKS) + len(table.plain))
    assert set(table.blocks) == {SKIPPED, *BLOCKS} and table.blocks[SKIPPED] == 0
    assert LatencyTable.from_dict(table.to_dict()) == table


def test_widths_are_those_that_can_be_built() -> None:
    for width in widths(FRAME):
        assert width % FRAME.N == 0 and FRAME.d // 2 <= width <= 2 * FRAME.d


@pytest.fixture(scope="module")
def table() -> LatencyTable:
    return measure(FRAME, BLOCKS, WHOLE, CPU, rounds=1)


def test_it_comes_back_from_its_file_as_it_was(table: LatencyTable) -> None:
    again = LatencyTable.from_dict(table.to_dict())
    assert again == table and again.digest == table.digest
    changed = {**table.to_dict(), "shared_ns": table.shared + 1}
    assert LatencyTable.from_dict(changed).digest != table.digest
    with pytest.raises(InputError, match="no latency table"):
        LatencyTable.from_dict({"batch": 1})


def test_a_block_that_was_not_measured_is_told(table: LatencyTable) -> None:
    other = distribution_space(FRAME, d_k=12, d_z=2, E=1, K=3).choices[0][0]
    with pytest.raises(InputError, match=r"has 4 blocks, and not .*'d_z': 2.*another --run"):
        table.of(Arch((other,) * 2))


def test_the_widest_that_is_as_fast() -> None:
    table = LatencyTable(
        batch=1, shared=1, blocks={}, spread=0, plain={6: 10, 9: 30, 12: 20}, whole=()
    )
    assert [table.widest(most) for most in (5, 10, 25, 99)] == [6, 6, 12, 12]
