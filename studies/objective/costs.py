"""Costs that a search minimises while it maximises accuracy, and their limits.

An objective is FLOPs, latency or both; parameters may be limited too. Every part of a search asks
here what an architecture costs and whether it may be scored. The answer depends on the plan, and on
a latency table if latency matters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, Space
from hnas.cost.conventions import most_exact
from hnas.cost.flops import cost
from hnas.cost.latency_table import LatencyTable, milliseconds
from hnas.cost.limits import (
    Limit,
    check_within,
    flops_limit,
    latency_limit,
    params_limit,
    sample_within,
)
from hnas.errors import InputError

OBJECTIVES = {"flops": ("macs",), "latency": ("latency",), "both": ("macs", "latency")}
"""The costs that each minimises, as attributes of a trial; all maximise accuracy."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """A cost that an objective may minimise."""

    name: str
    """The attribute of a trial."""
    metric: str
    """Its name in Optuna and its dashboard."""
    axis: str
    """Its name at an axis."""
    short: str
    """Its unit behind a number."""
    unit: int
    """The value that is 1 of that unit."""
    digits: str
    """Its format in Python."""

    def show(self, value: float) -> str:
        """A value in its unit: "1,713,816 MACs"."""
        return f"{value:{self.digits}} {self.short}"

    def of(self, spent: Priced) -> float | None:
        """The cost in its unit; None if it is not known."""
        value = getattr(spent, self.name)
        return None if value is None else value / self.unit


MEASURES = {
    "macs": Measure(
        name="macs",
        metric="FLOPs (MACs)",
        axis="multiply-accumulates of one image",
        short="MACs",
        unit=1,
        digits=",.0f",
    ),
    "latency": Measure(
        name="latency",
        metric="latency (ms)",
        axis="milliseconds of a pass, by the latency table",
        short="ms",
        unit=10**6,
        digits=".4g",
    ),
}


def measures(objective: str) -> tuple[Measure, ...]:
    """The costs that the objective minimises."""
    return tuple(MEASURES[name] for name in OBJECTIVES[objective])


class Priced(Protocol):
    """Something of known cost; `latency` is nanoseconds of a batch, None if nothing measured it."""

    @property
    def macs(self) -> int: ...
    @property
    def params(self) -> int: ...
    @property
    def latency(self) -> int | None: ...


class Scored(Priced, Protocol):
    """A scored architecture."""

    @property
    def accuracy(self) -> float: ...


@dataclass(frozen=True, kw_only=True)
class Spent:
    """Costs of an architecture, by every measure."""

    macs: int
    params: int
    latency: int | None


def point(trial: Scored, objective: str) -> tuple[float, ...]:
    """Accuracy, then the costs. Raises InputError if a cost is not known."""
    return (trial.accuracy, *minimised(trial, objective))


def minimised(spent: Priced, objective: str) -> tuple[int, ...]:
    """The costs, in whole numbers. Raises InputError if one is not known."""
    costs = tuple(getattr(spent, name) for name in OBJECTIVES[objective])
    if None in costs:
        raise InputError(
            f"in a search for {objective} every network has a latency, got one without it"
        )
    return costs


def values(accuracy: float, spent: Priced, objective: str) -> list[float]:
    """The values in Optuna: accuracy, multiply-accumulates, milliseconds."""
    costs = zip(minimised(spent, objective), measures(objective), strict=True)
    return [accuracy, *(its / measure.unit for its, measure in costs)]


def metrics(objective: str) -> list[str]:
    """The names of a study's values, accuracy first."""
    return ["held-out accuracy", *(measure.metric for measure in measures(objective))]


@dataclass(frozen=True, kw_only=True, eq=False)
class Costs:
    """The costs of one search."""

    frame: Frame
    objective: str = "flops"
    flops: int | None = None
    """Most multiply-accumulates of one image; None: any."""
    convention: str = "exact"
    """How `flops` counts them: one of `hnas.cost.conventions.BUDGETS`. What is minimised is exact
    in all."""
    params: int | None = None
    """Most learned parameters; None: any."""
    latency: int | None = None
    """Most nanoseconds of a batch, by the table; None: any."""
    table: LatencyTable | None = None

    @cached_property
    def limits(self) -> tuple[Limit, ...]:
        """The limits of every scored architecture."""
        limits = []
        if self.flops is not None:
            limits.append(flops_limit(self.frame, self.flops, self.convention))
        if self.params is not None:
            limits.append(params_limit(self.frame, self.params))
        if self.latency is not None:
            assert self.table is not None  # a bound on latency is made from the table
            limits.append(latency_limit(self.table, self.latency))
        return tuple(limits)

    def spent(self, arch: Arch) -> Spent:
        """The costs of an architecture."""
        latency = None if self.table is None else self.table.of(arch)
        return Spent(**vars(cost(self.frame, arch)), latency=latency)

    def allow(self, arch: Arch) -> bool:
        """Whether the architecture is within all limits."""
        return all(limit.of(arch.blocks) <= limit.most for limit in self.limits)

    def check(self, space: Space) -> None:
        """Raises BudgetError, naming the least and the most possible, if nothing fits."""
        check_within(space, self.limits)

    def sample(self, space: Space, rng: np.random.Generator) -> Arch:
        """A random architecture within all limits; raises BudgetError if there is none."""
        return sample_within(space, self.limits, rng)

    def point(self, trial: Scored) -> tuple[float, ...]:
        """Accuracy, then the costs, in whole numbers."""
        return point(trial, self.objective)

    @property
    def bounds(self) -> tuple[int, ...]:
        """What no cost exceeds, where the hypervolume ends."""
        flops = None if self.flops is None else most_exact(self.flops, self.convention)
        ends = {"macs": flops, "latency": self.latency}
        return tuple(ends[measure.name] or 0 for measure in measures(self.objective))

    def most(self, measure: Measure) -> int | None:
        """The limit of a cost, in whole numbers; None: any, or one that is counted otherwise."""
        flops = self.flops if self.convention == "exact" else None
        return {"macs": flops, "latency": self.latency}[measure.name]

    def excess(self, arch: Arch) -> list[float]:
        """The excess over each limit, as Optuna's constraints: 0 or less is within it."""
        return [float(limit.of(arch.blocks) - limit.most) for limit in self.limits]

    def words(self, count: Callable[[int], str] = "{:,}".format) -> str:
        """The limits: "at most 1,713,816 MACs an image"."""
        words = []
        if self.flops is not None:
            counted = "" if self.convention == "exact" else f" ({self.convention})"
            words.append(f"at most {count(self.flops)} MACs{counted} an image")
        if self.params is not None:
            words.append(f"at most {count(self.params)} parameters")
        if self.latency is not None and self.table is not None:
            images = "an image" if self.table.batch == 1 else f"{self.table.batch} images"
            words.append(f"at most {milliseconds(self.latency)} for {images}")
        return " and ".join(words) or "limits to be measured"
