import itertools
import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnas.studies.trials.pareto import STEPS, best_by_score, front, growth, hypervolume, pareto

BUDGET = 1000
POINTS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, BUDGET)), max_size=30)


@given(POINTS)
def test_it_is_the_area_of_a_staircase(points):
    front = [points[i] for i in pareto(points)]
    ends = [macs for _, macs in [*front, (0, BUDGET)][1:]]
    strips = (accuracy * (end - macs) for (accuracy, macs), end in zip(front, ends, strict=True))
    assert hypervolume(points, BUDGET) == pytest.approx(math.fsum(strips) / BUDGET, abs=1e-12)


@given(POINTS)
def test_the_front_is_what_no_point_dominates(points):
    def dominated(point):
        return any(
            other != point and other[0] >= point[0] and other[1] <= point[1] for other in points
        )

    front = [points[i] for i in pareto(points)]
    assert front == sorted({p for p in points if not dominated(p)}, key=lambda point: point[1])


def test_of_equal_points_the_first_is_on_the_front():
    assert pareto([(0.5, 10), (0.7, 20), (0.5, 10), (0.7, 20)]) == [0, 1]


def test_what_is_over_the_budget_adds_nothing():
    assert hypervolume([(0.5, 500), (1.0, 1001)], BUDGET) == 0.25
    assert hypervolume([(1.0, 1001)], BUDGET) == 0


def test_the_best_there_could_be_is_1_and_nothing_is_0():
    assert hypervolume([(1.0, 0)], BUDGET) == 1
    assert hypervolume([], BUDGET) == 0


class Scored(NamedTuple):
    number: int
    accuracy: float
    macs: int
    latency: int | None = None
    params: int = 0


def test_of_equal_scores_the_cheaper_is_better_then_the_earlier():
    trials = [Scored(*each) for each in ((0, 0.5, 9), (1, 0.7, 9), (2, 0.7, 5), (3, 0.7, 5))]
    assert [t.number for t in best_by_score(trials, 4)] == [2, 3, 1, 0]
    assert [t.number for t in best_by_score(trials[::-1], 2)] == [2, 3]
    slow = [Scored(0, 0.7, 5, latency=9), Scored(1, 0.7, 9, latency=5)]
    assert [t.number for t in best_by_score(slow, 2, "latency")] == [1, 0]
    assert [t.number for t in front(slow, "latency")] == [1]
    assert [t.number for t in front(slow, "both")] == [0, 1]


@pytest.mark.parametrize("count", [0, 1, 7, 401])
def test_it_grows_as_trials_come(count):
    rng = np.random.default_rng(0)
    points = [(float(rng.random()), int(rng.integers(1, 90))) for _ in range(count)]
    ends, volumes = growth(points, 100)
    assert ends[-1:] == [count][:count] and len(ends) <= STEPS
    for end, volume in zip(ends, volumes, strict=True):
        assert volume == pytest.approx(hypervolume(points[:end], 100))


TWO_COSTS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(0, 9), st.integers(0, 9)),
    max_size=12,
)


@given(TWO_COSTS)
def test_of_two_costs_it_is_the_cells_that_are_dominated(points):
    cells = [
        (i, j, k)
        for i, j, k in itertools.product(range(4), range(8), range(6))
        if any(a >= (i + 1) / 4 and b <= j and c <= k for a, b, c in points)
    ]
    assert hypervolume(points, 8, 6) == pytest.approx(len(cells) / (4 * 8 * 6), abs=1e-12)


@given(TWO_COSTS)
def test_the_front_of_two_costs_is_what_no_point_dominates(points):
    def dominated(point):
        return any(
            other != point
            and other[0] >= point[0]
            and other[1] <= point[1]
            and other[2] <= point[2]
            for other in points
        )

    front = [points[i] for i in pareto(points)]
    assert sorted(front) == sorted({point for point in points if not dominated(point)})
