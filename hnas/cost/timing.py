"""Timing in turn, so that whatever else the machine does slows all calls alike. No torch."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence

Clock = Callable[[], float]


def seconds(call: Callable[[], object], clock: Clock = time.perf_counter) -> float:
    """Wall time of one call."""
    began = clock()
    call()
    return clock() - began


def in_turn(
    timers: Sequence[Callable[[], float]], orders: Iterable[Iterable[int]]
) -> Iterator[list[float]]:
    """The seconds of every timer, round by round; each order names all timers once."""
    for order in orders:
        spent = [0.0] * len(timers)
        for i in order:
            spent[i] = timers[i]()
        yield spent


def rotated(count: int, rounds: int) -> list[list[int]]:
    """An order for each round, which begins with another timer than the round before."""
    return [[(i + j) % count for j in range(count)] for i in range(rounds)]
