"""A run's studies as they stand, read and never written. Imports no torch, so that it is quick."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hnas.errors import StateError
from hnas.studies.objective.costs import Costs
from hnas.studies.plan.strategies import Stage
from hnas.studies.run.folder import Run
from hnas.studies.run.latency import FILE, read_measured
from hnas.studies.trials.conditions import Conditions, read_conditions
from hnas.studies.trials.marks import Marks, read_marks
from hnas.studies.trials.pareto import front
from hnas.studies.trials.record import Record
from hnas.studies.trials.smoothing import Smoothed, picking
from hnas.studies.trials.study import stored_studies
from hnas.studies.trials.trial import records_of


@dataclass(frozen=True, kw_only=True)
class StageStudy:
    """One stage of a run and its study, as the study was when it was read.

    The study's attributes are understood when they are asked for, so that the trials of a damaged
    study can be seen.
    """

    run: Run = field(repr=False)
    number: int
    """Of the stage, from 1."""
    study_id: int | None = None
    """In the storage; None if the study has not begun."""
    attrs: Mapping[str, Any] = field(default_factory=dict, repr=False)
    """Of the study."""
    records: tuple[Record, ...] = ()
    """The scored trials, by number."""

    @property
    def asked(self) -> Stage:
        """What the plan asks of the stage."""
        return self.run.stage(self.number)

    @property
    def name(self) -> str:
        """Of the study."""
        return self.run.study_name(self.number)

    @property
    def stage(self) -> str:
        """The study's name behind the run's name: `stage1`, `stage2`."""
        return self.name.removeprefix(f"{self.run.name}-")

    @property
    def trials(self) -> int:
        return len(self.records)

    @property
    def epochs(self) -> int:
        """Of the supernet's training, as far as its checkpoint goes now. Raises StateError."""
        return self.run.trained_epochs(self.run.supernet(self.number))

    @cached_property
    def marks(self) -> Marks:
        """Raises RowError if one is damaged."""
        return read_marks(self.name, self.attrs)

    @property
    def finished(self) -> bool:
        """Whether no trial is to come, so that its front stays."""
        return self.marks.exhausted or self.trials >= self.asked.trials

    @cached_property
    def front(self) -> tuple[Record, ...]:
        """The elites: trials that no other dominates, by rising costs."""
        return tuple(front(self.records, self.run.plan.search.objective))

    @cached_property
    def smoothed(self) -> Smoothed | None:
        """The smoothed scores that the best are picked by, if they are."""
        return picking(self.records, self.run.plan.search.pick)

    @property
    def best(self) -> Record | None:
        """The highest score, the cheapest of equals; None without trials."""
        return max(self.front, key=lambda record: record.accuracy, default=None)

    @cached_property
    def conditions(self) -> Conditions:
        """What its trials have in common. Raises StateError if the study does not say it."""
        return read_conditions(self.name, self.attrs)

    @cached_property
    def costs(self) -> Costs:
        """What was minimised and allowed, by the run's table. Raises StateError."""
        if self.conditions.latency_table is None:
            return self.conditions.costs(None)
        measured = read_measured(self.run)
        if measured is None or measured.table.digest != self.conditions.latency_table:
            raise StateError(
                f"{self.run.folder / FILE} is not the table that the study {self.name!r} was "
                "searched with. Restore it"
            )
        return self.conditions.costs(measured.table)


def read_stages(run: Run) -> tuple[StageStudy, ...]:
    """All stages of a run, whatever the strategy. A running search is not disturbed.

    Raises MismatchError if a study has other objectives, StorageError.
    """
    numbers = range(1, len(run.stages) + 1)
    names = [run.study_name(number) for number in numbers]
    found = stored_studies(run.storage, names) if run.has_studies else {}
    return tuple(
        StageStudy(
            run=run,
            number=number,
            study_id=study.study_id,
            attrs=study.user_attrs,
            records=records_of(study.trials),
        )
        if (study := found.get(name))
        else StageStudy(run=run, number=number)
        for number, name in zip(numbers, names, strict=True)
    )
