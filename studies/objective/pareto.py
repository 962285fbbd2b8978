"""How good a set of trials is, as one number: the hypervolume of accuracy (up) and costs (down).

Zitzler and Thiele, "Multiobjective Optimization Using Evolutionary Algorithms" (PPSN 1998). With
one cost it is the area of a staircase: sorting finds it. With two Optuna knows how.
"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import numpy as np
from optuna._hypervolume import compute_hypervolume

from hnas.studies.objective.costs import Scored, minimised, point

Point = tuple[float, ...]
"""Accuracy (0 to 1), then one cost or two: MACs, nanoseconds."""
STEPS = 200
"""Most points of a curve of hypervolume."""


def pareto(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other dominates, by rising costs. Of equal points the first."""
    by_costs = sorted(range(len(points)), key=lambda i: (points[i][1:], -points[i][0], i))
    best: list[tuple[float, int]] = []  # of the front so far, by falling accuracy
    front = []
    for i in by_costs:
        accuracy = points[i][0]
        # None that comes later costs less of everything: those before decide.
        as_accurate = best[: bisect_right(best, (-accuracy, len(points)))]
        if not any(_no_dearer(points[j], points[i]) for _, j in as_accurate):
            front.append(i)
            insort(best, (-accuracy, i))
    return front


def _no_dearer(one: Point, other: Point) -> bool:
    return all(a <= b for a, b in zip(one[1:], other[1:], strict=True))


def hypervolume(points: Sequence[Point], *bounds: int) -> float:
    """The share, 0 to 1, of accuracy 0..1 x each cost 0..its bound that the points dominate."""
    within = [
        point
        for point in points
        if point[0] > 0 and all(c < most for c, most in zip(point[1:], bounds, strict=True))
    ]
    front = [within[i] for i in pareto(within)]
    if not front:
        return 0.0
    if len(bounds) > 1:
        losses = np.array(front) / (-1, *bounds)
        return float(compute_hypervolume(losses, np.array([0.0, *(1.0 for _ in bounds)])))
    (budget,) = bounds
    ends = [macs for _, macs in front[1:]] + [budget]
    strips = (accuracy * (end - macs) for (accuracy, macs), end in zip(front, ends, strict=True))
    return math.fsum(strips) / budget


def growth(points: Sequence[Point], *bounds: int) -> tuple[list[int], list[float]]:
    """Numbers of trials, STEPS at most and the last of them all, and the hypervolume after each."""
    step = max(-(-len(points) // STEPS), 1)
    ends = [*range(step, len(points), step), len(points)] if points else []
    front: list[Point] = []
    volumes, begin = [], 0
    for end in ends:
        known = [*front, *points[begin:end]]
        front, begin = [known[i] for i in pareto(known)], end
        volumes.append(hypervolume(front, *bounds))
    return ends, volumes


class Numbered(Scored, Protocol):
    """A scored trial."""

    @property
    def number(self) -> int: ...


Trial = TypeVar("Trial", bound=Numbered)


def front(trials: Iterable[Trial], objective: str = "flops") -> list[Trial]:
    """The trials that no other dominates, by rising costs. Of equal ones the first."""
    found = list(trials)
    return [found[i] for i in pareto([point(trial, objective) for trial in found])]


def best_by_score(trials: Iterable[Trial], top: int, objective: str = "flops") -> list[Trial]:
    """The `top` trials of highest score; of equal scores the cheaper, then the earlier, first."""
    return sorted(trials, key=lambda t: (-t.accuracy, minimised(t, objective), t.number))[:top]
