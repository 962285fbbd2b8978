"""Timing in turn: which call runs when, and whose seconds are whose."""

from __future__ import annotations

import itertools
from functools import partial

from hnas.cost.timing import in_turn, rotated, seconds


def test_they_run_in_turn_and_each_begins_a_round() -> None:
    ran: list[str] = []
    ticks = itertools.count()
    timers = [
        partial(seconds, partial(ran.append, name), lambda: float(next(ticks))) for name in "abc"
    ]
    assert list(in_turn(timers, rotated(3, 3))) == [[1.0] * 3] * 3
    assert "".join(ran) == "abc" + "bca" + "cab"


def test_a_call_gets_its_own_seconds() -> None:
    now = 0.0

    def lasts(length: float) -> None:
        nonlocal now
        now += length

    timers = [partial(seconds, partial(lasts, length), lambda: now) for length in (1.0, 5.0)]
    assert list(in_turn(timers, rotated(2, 2))) == [[1.0, 5.0], [1.0, 5.0]]
