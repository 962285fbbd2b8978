"""The status of a run, read from its files and studies: nothing is made, locked or trained.

Imports no torch, so that it is quick.
"""

from dataclasses import dataclass

from hnas.architecture.arch import Arch
from hnas.studies.plan.strategies import Stage
from hnas.studies.run.folder import Run
from hnas.studies.run.networks import network_epochs
from hnas.studies.run.result import Result, read_result
from hnas.studies.run.split import read_sizes
from hnas.studies.run.studies import read_studies
from hnas.studies.trials.marks import read_marks
from hnas.studies.trials.pareto import front
from hnas.studies.trials.record import Record, Snapshot


@dataclass(frozen=True, kw_only=True)
class StageStatus:
    """One stage: its supernet and its study."""

    epochs: int
    """Of the supernet's training, as far as its checkpoint goes."""
    epochs_asked: int
    trials: int
    """Scored and stored."""
    trials_asked: int
    exhausted: bool
    """Everything within the limits has been scored: there are no more trials to be had."""
    front: tuple[Record, ...]
    """The trials that no other dominates, by rising costs."""

    @property
    def best(self) -> Record | None:
        """The highest score, the cheapest of equals; None without trials."""
        return max(self.front, key=lambda record: record.accuracy, default=None)

    @property
    def finished(self) -> bool:
        return self.exhausted or self.trials >= self.trials_asked


@dataclass(frozen=True, kw_only=True)
class Status:
    """A run as it stands."""

    stages: tuple[StageStatus, ...]
    handoff: Arch | None
    """The distribution that stage 2 keeps, once it is chosen; None if there is no stage 2."""
    networks: int
    """Trained alone to the end."""
    result: Result | None

    @property
    def finished(self) -> bool:
        return self.result is not None and all(stage.finished for stage in self.stages)


def read_status(run: Run) -> Status:
    """The run as it stands. Raises StateError if a file is damaged, StorageError."""
    studies, stages = read_studies(run), enumerate(run.stages, 1)
    first = studies.get(1)
    handoff = read_marks(first.user_attrs).handoff if first else None
    return Status(
        stages=tuple(_stage(run, number, asked, studies.get(number)) for number, asked in stages),
        handoff=handoff.arch if handoff else None,
        networks=sum(trained >= asked for trained, asked in network_epochs(run)),
        result=read_result(run),
    )


def scoring_images(run: Run) -> int:
    """Held-out images that the run's trials are scored on; 0 if they are not split yet."""
    sizes = read_sizes(run)
    images = sizes.held_out if sizes else 0
    return min(run.plan.score.held_out or images, images)


def _stage(run: Run, stage: int, asked: Stage, study: Snapshot | None) -> StageStatus:
    found = study.records if study else ()
    return StageStatus(
        epochs=run.trained_epochs(run.supernet(stage)),
        epochs_asked=asked.training.epochs,
        trials=len(found),
        trials_asked=asked.trials,
        exhausted=study is not None and read_marks(study.user_attrs).exhausted,
        front=tuple(front(found, run.plan.search.objective)),
    )
