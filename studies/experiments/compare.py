"""Comparisons of searches: every plan by every strategy from every seed, each a run of its own.

A seed also decides the split of the images, so outcomes are compared seed by seed: differences are
paired. This module reads finished runs; `hnas.studies.experiments.batch` searches the others.
"""

import itertools
import json
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from hnas.errors import InputError, MismatchError, StateError
from hnas.persist.difference import differences, listed
from hnas.persist.ours import MARK, write_ours
from hnas.studies.figures.style import COLOURS, MARKERS, panels, save
from hnas.studies.plan.change import override
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import open_run
from hnas.studies.run.latency import read_costs
from hnas.studies.run.provenance import environment
from hnas.studies.run.result import has_result
from hnas.studies.run.spent import read_spent
from hnas.studies.run.status import read_status
from hnas.studies.trials.pareto import hypervolume

HOLLOW: dict[str, Any] = {"facecolors": "none", "edgecolors": "#767676"}


@dataclass(frozen=True, kw_only=True)
class Task:
    """A run to compare."""

    name: str
    """Of its plan."""
    plan: Plan
    """With this task's strategy, sampler and seed."""
    folder: Path
    sampler: str = ""
    """The sampler that the comparison asks for; empty: the plan's own."""

    @property
    def way(self) -> str:
        """The strategy, and the sampler if one is asked for: "flat by nsga2"."""
        strategy = self.plan.search.strategy
        return f"{strategy} by {self.sampler}" if self.sampler else strategy

    @property
    def words(self) -> str:
        return f"{self.name}, {self.way}, seed {self.plan.search.seed}"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The outcome of one run. Accuracies are 0 to 1; FLOPs are multiply-accumulates."""

    seed: int
    run: str
    """Its folder's name."""
    test: float
    """Of the winner, trained alone, as are `held_out`, `macs` and `params`."""
    held_out: float
    score: float
    """The highest of the last stage, with inherited weights."""
    macs: int
    params: int
    all_global: float
    """Test accuracy of the all-global network of nearly equal cost."""
    hypervolume: float
    """Of the last stage's trials, scored with inherited weights. Comparable if two searches share a
    supernet, as flat and random do, and have the same objective."""
    trials: int
    """Scored in all stages."""
    minutes: float | None
    """On the clock; None if no comparison made the run."""


AVERAGED = tuple(f.name for f in fields(Outcome) if f.name not in ("seed", "run", "trials"))
"""Fields with a mean over seeds."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A plan searched by a strategy, over all seeds."""

    plan: str
    strategy: str
    """As `Task.way` says it."""
    outcomes: tuple[Outcome, ...]
    """By seed, in the order asked for."""
    reference: str | None
    """The row whose test accuracies are subtracted, in words; None for the reference itself."""
    differences: tuple[float, ...]
    """Of test accuracy to the reference, seed by seed."""

    def values(self, measure: str) -> tuple[float, ...]:
        """A measure, one value for each seed; empty if a run lacks it."""
        found = [getattr(outcome, measure) for outcome in self.outcomes]
        return () if None in found else tuple(found)


def mean(values: Sequence[float]) -> float | None:
    """The mean; None of no values."""
    return statistics.fmean(values) if values else None


def spread(values: Sequence[float]) -> float | None:
    """The standard deviation of a sample (n - 1); None of fewer than two values."""
    return statistics.stdev(values) if len(values) > 1 else None


def tasks(
    plans: Mapping[str, Plan],
    strategies: Sequence[str],
    seeds: Sequence[int],
    folder: Path,
    samplers: Sequence[str] = ("",),
) -> list[Task]:
    """Every run of the comparison, seed by seed, so that pairs are ready early: every strategy with
    each of `samplers` ("" is the plan's own), but for `random`, which has no other.

    Raises InputError if a name or seed is given twice or one is unknown.
    """
    for what, asked in (("strategies", strategies), ("samplers", samplers), ("seeds", seeds)):
        if not asked or len(set(asked)) != len(asked):
            raise InputError(f"{what} must be distinct, at least one, got {list(asked)}")
    ways = [
        (strategy, sampler)
        for strategy in strategies
        for sampler in (("",) if strategy == "random" else samplers)
    ]
    return [
        Task(
            name=name,
            plan=override(plan, strategy=strategy, sampler=sampler or None, seed=seed),
            folder=folder / "-".join(filter(None, (name, strategy, _word(sampler), f"seed{seed}"))),
            sampler=sampler,
        )
        for seed, (name, plan), (strategy, sampler) in itertools.product(seeds, plans.items(), ways)
    ]


def _word(sampler: str) -> str:
    """A sampler as a part of a folder's name."""
    return sampler.replace(":", "-")


def is_finished(task: Task) -> bool:
    """Whether the task's run has its result.

    Raises MismatchError if the result is of another plan.
    """
    if not has_result(task.folder):
        return False
    run = open_run(task.folder)
    if found := differences(asdict(run.plan), asdict(task.plan)):
        raise MismatchError(
            f"the run {task.folder} was finished with another plan:\n{listed(found)}\n"
            "Ask for what is stored, or use another --runs"
        )
    return read_status(run).finished


def outcome(task: Task) -> Outcome:
    """The outcome of a finished run. Raises StateError if it is not finished."""
    run = open_run(task.folder)
    status = read_status(run)
    best = status.stages[-1].best
    if status.result is None or best is None:
        raise StateError(f"the run {task.folder} has no result to compare yet")
    winner, plain = status.result.winner, status.result.all_global
    assert winner.test_accuracy is not None and plain.test_accuracy is not None
    costs, spent = read_costs(run), read_spent(run)
    points = [costs.point(record) for record in status.stages[-1].front]
    return Outcome(
        seed=run.plan.search.seed,
        run=task.folder.name,
        test=winner.test_accuracy,
        held_out=winner.accuracy,
        score=best.accuracy,
        macs=winner.macs,
        params=winner.params,
        all_global=plain.test_accuracy,
        hypervolume=hypervolume(points, *costs.bounds),
        trials=sum(stage.trials for stage in status.stages),
        minutes=None if spent is None else spent.seconds / 60,
    )


def rows(finished: Iterable[Task]) -> list[Row]:
    """A row for each plan and strategy, in the order of the tasks.

    A row's reference is its plan's first strategy; with one strategy, the first plan.
    """
    grouped: dict[tuple[str, str], list[Outcome]] = defaultdict(list)
    for task in finished:
        grouped[task.name, task.way].append(outcome(task))
    names, strategies = ([*dict.fromkeys(key)] for key in zip(*grouped, strict=True))

    def row(name: str, strategy: str, found: Sequence[Outcome]) -> Row:
        first = (name, strategies[0]) if len(strategies) > 1 else (names[0], strategy)
        same = first == (name, strategy)
        pairs = [] if same else zip(found, grouped[first], strict=True)
        return Row(
            plan=name,
            strategy=strategy,
            outcomes=tuple(found),
            reference=None if same else ", ".join(first),
            differences=tuple(one.test - other.test for one, other in pairs),
        )

    return [row(*key, found) for key, found in grouped.items()]


def as_json(found: Sequence[Row], command: str) -> dict[str, Any]:
    """The content of compare.json: every outcome, mean and standard deviation over seeds."""
    return {
        "comparison": MARK.decode(),
        "command": command,
        **environment(),
        "rows": [_row_as_json(row) for row in found],
    }


def _row_as_json(row: Row) -> dict[str, Any]:
    paired = row.differences
    return {
        **asdict(row),
        "mean": {name: mean(row.values(name)) for name in AVERAGED},
        "standard_deviation": {name: spread(row.values(name)) for name in AVERAGED},
        "difference": {"mean": mean(paired), "standard_deviation": spread(paired)},
    }


def write_files(found: Sequence[Row], folder: Path, command: str) -> tuple[Path, Path]:
    """Writes compare.json and compare.svg. Raises InputError if they cannot be written, or if files
    of others are there."""
    table, figure = folder / "compare.json", folder / "compare.svg"
    data = json.dumps(as_json(found, command), indent=1).encode() + b"\n"
    with suppress(OSError):  # what is wrong is said when they are written
        folder.mkdir(parents=True, exist_ok=True)
    write_ours({table: data}, to=folder, force=None)
    draw(found, figure)
    return table, figure


def draw(found: Sequence[Row], path: Path) -> None:
    """Test accuracy of every run as a point, its mean as a bar; the all-global networks hollow."""
    figure, (axes,) = panels(width=7.0, height=1.4 + 0.6 * len(found))
    for at, row in enumerate(found):
        for i, one in enumerate(row.outcomes):
            y = at + 0.5 * ((i + 0.5) / len(row.outcomes) - 0.5)  # equal values stay apart
            marker, colour = MARKERS[i % len(MARKERS)], COLOURS[i % len(COLOURS)]
            seed = f"seed {one.seed}" if at == 0 else None
            axes.scatter(one.test, y, s=36, color=colour, marker=marker, label=seed, zorder=3)
            axes.scatter(one.all_global, y, s=36, marker=marker, **HOLLOW)
        middle = statistics.fmean(row.values("test"))
        axes.plot([middle, middle], [at - 0.35, at + 0.35], color="black", linewidth=2)
    axes.plot([], [], color="black", linewidth=2, label="mean")
    axes.scatter([], [], label="all-global network", **HOLLOW)
    axes.set_yticks(range(len(found)), [_label(row, found) for row in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlabel("test accuracy of the winner")
    figure.legend(loc="outside upper center", ncols=6, frameon=False)
    save(figure, path)


def _label(row: Row, found: Sequence[Row]) -> str:
    """The names that tell the rows apart, at least the strategy."""
    differ = [name for name in ("plan", "strategy") if len({getattr(r, name) for r in found}) > 1]
    return ", ".join(getattr(row, name) for name in differ or ["strategy"])
