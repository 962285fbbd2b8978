"""A run's studies as they stand, read and never written."""

from collections.abc import Mapping
from dataclasses import dataclass

from hnas.architecture.space import Space
from hnas.errors import StateError
from hnas.studies.objective.costs import Costs
from hnas.studies.run.folder import Run
from hnas.studies.run.latency import FILE, read_measured
from hnas.studies.trials.conditions import Conditions, read_conditions
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
    scorer: Mapping[str, str]
    """Fingerprint of what its trials are scored with."""
    records: tuple[Record, ...]
    """Its finished trials, by number."""


def read_searched(run: Run) -> tuple[Searched, ...]:
    """The studies of a run that have finished trials, first stage first, whatever the strategy.

    A running search is not disturbed. Raises StateError if a study does not say what it searches,
    StorageError.
    """
    studies = read_studies(run).values()
    return tuple(searched(run, study) for study in studies if study.records)


def searched(run: Run, study: Snapshot) -> Searched:
    """A study of the run. Raises StateError if it does not say what it searches."""
    conditions = read_conditions(study.name, study.user_attrs)
    return Searched(
        stage=study.name.removeprefix(f"{run.name}-"),
        space=conditions.space,
        costs=_costs(run, study.name, conditions),
        population=conditions.population,
        scorer=conditions.scorer,
        records=study.records,
    )


def _costs(run: Run, study: str, conditions: Conditions) -> Costs:
    """As the study was begun with; its table is the run's."""
    if conditions.latency_table is None:
        return conditions.costs(None)
    measured = read_measured(run)
    if measured is None or measured.table.digest != conditions.latency_table:
        raise StateError(
            f"{run.folder / FILE} is not the table that the study {study!r} was searched with. "
            "Restore it"
        )
    return conditions.costs(measured.table)


def read_studies(run: Run) -> dict[int, Snapshot]:
    """The studies of a run that exist, by stage. Raises StorageError."""
    if not run.has_studies:
        return {}
    names = [run.study_name(stage) for stage in range(1, len(run.stages) + 1)]
    found = snapshots(run.storage, names)
    return {stage: found[name] for stage, name in enumerate(names, 1) if name in found}
