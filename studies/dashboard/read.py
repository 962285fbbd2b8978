"""Data of a run for the dashboard, read once: its studies and their fronts."""

from dataclasses import dataclass

from optuna.storages import RDBStorage

from hnas.studies.plan.strategies import Stage
from hnas.studies.run.folder import Run
from hnas.studies.run.result import Result, read_result
from hnas.studies.run.status import scoring_images
from hnas.studies.run.studies import Searched, read_studies, searched
from hnas.studies.trials.database import storage_errors
from hnas.studies.trials.marks import Marks, read_marks
from hnas.studies.trials.optuna_inside import study_id_of
from hnas.studies.trials.pareto import front
from hnas.studies.trials.record import Record, Snapshot
from hnas.studies.trials.study import open_study


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A stage's study."""

    number: int
    """Of the stage, from 1."""
    name: str
    """Of the study."""
    study_id: int
    objectives: tuple[tuple[str, str], ...]
    """(name, `maximize` or `minimize`) of each."""
    stage: Stage
    marks: Marks
    searched: Searched | None
    """None if no trial is finished."""
    front: tuple[Record, ...]
    """The elites: trials that no other dominates, by rising costs."""

    @property
    def best(self) -> list[Record]:
        """The elites, the most accurate first."""
        return sorted(self.front, key=lambda record: -record.accuracy)

    @property
    def trials(self) -> int:
        return len(self.searched.records) if self.searched else 0

    @property
    def finished(self) -> bool:
        """Whether its elites stay the elites."""
        return self.marks.exhausted or self.trials >= self.stage.trials

    @property
    def address(self) -> str:
        """Of its page, as the dashboard's own."""
        return f"/dashboard/studies/{self.study_id}"

    def trial_address(self, trial: int) -> str:
        """Of the page of a trial, by its number."""
        return f"{self.address}/trials?numbers={trial}"


@dataclass(frozen=True, kw_only=True)
class ShownRun:
    """A run as it stands."""

    run: Run
    stages: tuple[Shown, ...]
    """The stages that have a study, in their order."""
    images: int
    """Held-out images that score a trial."""
    result: Result | None

    def trained(self, record: Record) -> float | None:
        """Held-out accuracy of a trial's network trained alone, 0 to 1; None if it is not."""
        candidates = self.result.candidates if self.result else ()
        return next((n.accuracy for n in candidates if n.arch == record.arch), None)

    def is_winner(self, record: Record) -> bool:
        return self.result is not None and self.result.winner.arch == record.arch


def read_shown(run: Run, storage: RDBStorage) -> ShownRun:
    """The run as it stands; `storage` is its own. Raises StateError, StorageError."""
    stages = tuple(_shown(run, storage, *study) for study in read_studies(run).items())
    return ShownRun(run=run, stages=stages, images=scoring_images(run), result=read_result(run))


def _shown(run: Run, storage: RDBStorage, number: int, snapshot: Snapshot) -> Shown:
    study = open_study(storage, snapshot.name)
    with storage_errors(f"the objectives of {snapshot.name!r} cannot be read"):
        directions = [direction.name.lower() for direction in study.directions]
        names = study.metric_names or [f"objective {i}" for i in range(len(directions))]
    return Shown(
        number=number,
        name=snapshot.name,
        study_id=study_id_of(study),
        objectives=tuple(zip(names, directions, strict=True)),
        stage=run.stage(number),
        marks=read_marks(snapshot.user_attrs),
        searched=searched(run, snapshot) if snapshot.records else None,
        front=tuple(front(snapshot.records, run.plan.search.objective)),
    )
