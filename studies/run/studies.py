"""A run's studies as they stand, for whoever wants to know what was found: read, never written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hnas.architecture.space import Space
from hnas.errors import InputError, StateError
from hnas.persist.record import restored
from hnas.studies.objective.costs import OBJECTIVES, Costs
from hnas.studies.run.folder import Run
from hnas.studies.run.latency import FILE, read_measured
from hnas.studies.trials.record import Record, Snapshot
from hnas.studies.trials.study import snapshots


@dataclass(frozen=True, kw_only=True)
class Searched:
    """One study of a run: what was to be chosen from, and what has been scored."""

    stage: str
    """What the study is called behind the run's name: `stage1`, `stage2`."""
    space: Space
    costs: Costs
    """What was minimised, and what was allowed."""
    population: int
    """Trials a generation."""
    records: tuple[Record, ...]
    """Its finished trials, by number."""


def read_searched(run: Run) -> tuple[Searched, ...]:
    """The studies of a run that have finished trials, first stage first, whatever the strategy.

    Nothing is locked: a search that goes on meanwhile goes on. Raises StateError where a study does
    not say what it searches, StorageError.
    """
    studies = read_studies(run).values()
    return tuple(searched(run, study) for study in studies if study.records)


def searched(run: Run, study: Snapshot) -> Searched:
    """A study of the run. Raises StateError where it does not say what it searches."""
    attrs = study.user_attrs
    try:
        space = restored(Space, attrs["space"])
        return Searched(
            stage=study.name.removeprefix(f"{run.name}-"),
            space=space,
            costs=_costs(run, space, attrs),
            population=int(attrs["population"]),
            records=study.records,
        )
    except (KeyError, TypeError, ValueError, InputError) as error:
        raise StateError(
            f"the study {study.name!r} does not say what it searches "
            f"({type(error).__name__}: {error}): its attributes `space`, `budget` and "
            "`population` were written by another version, or were deleted. Restore them"
        ) from None


def _costs(run: Run, space: Space, attrs: Mapping[str, Any]) -> Costs:
    """As the study was begun with; its table is the run's."""
    table = None
    if attrs.get("latency_table") is not None:
        measured = read_measured(run)
        if measured is None or measured.table.digest != attrs["latency_table"]:
            raise InputError(f"{FILE} is not the table that it was searched with")
        table = measured.table
    objective = attrs.get("objective", "flops")
    budget = attrs["budget"] if "macs" in OBJECTIVES[objective] else attrs.get("budget")
    return Costs(
        frame=space.frame,
        objective=objective,
        flops=None if budget is None else int(budget),
        latency=attrs.get("latency_bound"),
        table=table,
    )


def read_studies(run: Run) -> dict[int, Snapshot]:
    """The studies of a run that exist, by stage. Raises StorageError."""
    if not run.has_studies:
        return {}
    names = [run.study_name(stage) for stage in range(1, len(run.stages) + 1)]
    found = snapshots(run.storage, names)
    return {stage: found[name] for stage, name in enumerate(names, 1) if name in found}
