"""Ways to choose among candidates, played on trainings that are there."""

from __future__ import annotations

import pytest

from benchmarks.ranking.halving import WAYS, Candidate, Way


def candidate(number: int, *curve: float) -> Candidate:
    """The `number`th best by score."""
    return Candidate(seed=0, G=(number,), score=1 - number / 100, curve=curve, accuracy=0.5)


LATE = candidate(0, 0.1, 0.2, 0.3, 0.9)
"""The best by score, and in the end."""
EARLY = candidate(1, 0.8, 0.7, 0.6, 0.5)
STEADY = candidate(2, 0.6, 0.6, 0.7, 0.7)
BAD = candidate(3, 0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("way", "pick", "trainings"),
    [
        (Way(name="by score", candidates=1), LATE, 1.0),
        (Way(name="whole", candidates=4), LATE, 4.0),
        (Way(name="halved", candidates=4, rungs=(1 / 4, 1 / 2)), EARLY, 4 / 4 + 2 / 4 + 2 / 4),
        (Way(name="halved late", candidates=4, rungs=(3 / 4,)), STEADY, 3.0 + 2 / 4),
        (Way(name="fewer than asked", candidates=9), LATE, 4.0),
    ],
)
def test_the_worse_half_stops(way: Way, pick: Candidate, trainings: float) -> None:
    assert way.choose([LATE, EARLY, STEADY, BAD]) == (pick, trainings)


def test_halving_costs_no_more_than_five_trainings() -> None:
    sixteen = [candidate(n, *[0.5] * 16) for n in range(16)]
    costs = {way.name: way.choose(sixteen)[1] for way in WAYS}
    halved = {name: cost for name, cost in costs.items() if "halved" in name}
    assert len(halved) == 2 and max(halved.values()) <= costs["five, whole"] == 5
