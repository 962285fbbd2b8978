"""How good a set of trials is, as one number: the hypervolume of accuracy (up) and MACs (down).

Zitzler and Thiele, "Multiobjective Optimization Using Evolutionary Algorithms" (PPSN 1998). In two
dimensions it is the area of a staircase: sorting finds it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = tuple[float, int]
"""Accuracy (0 to 1) and MACs."""
STEPS = 200
"""Most points of a curve of hypervolume."""


def pareto(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other dominates, by rising MACs. Of equal points the first."""
    by_macs = sorted(range(len(points)), key=lambda i: (points[i][1], -points[i][0], i))
    best = -math.inf
    front = []
    for i in by_macs:
        if points[i][0] > best:
            best = points[i][0]
            front.append(i)
    return front


def hypervolume(points: Sequence[Point], budget: int) -> float:
    """The share, 0 to 1, of the area accuracy 0..1 x MACs 0..budget that the points dominate."""
    within = [point for point in points if point[1] < budget and point[0] > 0]
    front = [within[i] for i in pareto(within)]
    ends = [macs for _, macs in front[1:]] + [budget]
    strips = (accuracy * (end - macs) for (accuracy, macs), end in zip(front, ends, strict=True))
    return math.fsum(strips) / budget if front else 0.0


def growth(points: Sequence[Point], budget: int) -> tuple[list[int], list[float]]:
    """Numbers of trials, STEPS at most and the last of them all, and the hypervolume after each."""
    step = max(-(-len(points) // STEPS), 1)
    ends = [*range(step, len(points), step), len(points)] if points else []
    front: list[Point] = []
    volumes, begin = [], 0
    for end in ends:
        known = [*front, *points[begin:end]]
        front, begin = [known[i] for i in pareto(known)], end
        volumes.append(hypervolume(front, budget))
    return ends, volumes
