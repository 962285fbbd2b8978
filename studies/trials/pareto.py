"""Pareto fronts and hypervolumes of trials, by Optuna's functions: accuracy up, costs down."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

import numpy as np

from hnas.studies.objective.costs import Scored, minimised, point
from hnas.studies.trials import optuna_inside

Point = tuple[float, ...]
"""Accuracy (0 to 1), then one cost or two: MACs, nanoseconds."""
STEPS = 200
"""Most points of a curve of hypervolume."""


def pareto(points: Sequence[Point]) -> list[int]:
    """Indices of the points that no other dominates, by rising costs. Of equal points the first."""
    if not points:
        return []
    losses = np.array([(*costs, -accuracy) for accuracy, *costs in points], dtype=float)
    order = np.lexsort(losses.T[::-1])
    found: list[int] = order[optuna_inside.on_front(losses[order])].tolist()
    return found


def hypervolume(points: Sequence[Point], *bounds: int) -> float:
    """The share, 0 to 1, of accuracy 0..1 x each cost 0..its bound that the points dominate.

    Zitzler and Thiele, "Multiobjective Optimization Using Evolutionary Algorithms" (PPSN 1998).
    """
    within = [p for p in points if all(c < most for c, most in zip(p[1:], bounds, strict=True))]
    if not within:
        return 0.0
    front = np.array([within[i] for i in pareto(within)])
    return optuna_inside.hypervolume(front / (-1, *bounds), np.array([0.0, *(1.0 for _ in bounds)]))


def growth(points: Sequence[Point], *bounds: int) -> tuple[list[int], list[float]]:
    """At most STEPS numbers of trials, the last of them all, and the hypervolume after each."""
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
    """The `top` trials of highest score. Of equal scores the cheaper is first, then the earlier."""
    return sorted(trials, key=lambda t: (-t.accuracy, minimised(t, objective), t.number))[:top]
