"""The status of a run, read from its files and studies: nothing is made, locked or trained.

Imports no torch, so that it is quick.
"""

from dataclasses import dataclass
from functools import cached_property

from hnas.architecture.arch import Arch
from hnas.studies.run.folder import Run
from hnas.studies.run.networks import trained_alone
from hnas.studies.run.result import Result, read_result
from hnas.studies.run.split import read_sizes
from hnas.studies.run.studies import StageStudy, read_stages
from hnas.studies.run.times import Times, read_times


@dataclass(frozen=True, kw_only=True)
class Status:
    """A run as it stands."""

    run: Run
    stages: tuple[StageStudy, ...]
    result: Result | None
    times: Times

    def __repr__(self) -> str:
        stages = [
            f"stage {stage.number}: {stage.trials:,} of {stage.asked.trials:,} trials"
            + (f", best {stage.best.accuracy:.4f}" if stage.best else "")
            for stage in self.stages
        ]
        state = "finished" if self.finished else "not finished"
        return f"Status({self.run.folder}, {state}; {'; '.join(stages)})"

    @property
    def begun(self) -> tuple[StageStudy, ...]:
        """The stages that have a study."""
        return tuple(stage for stage in self.stages if stage.study_id is not None)

    @property
    def searched(self) -> tuple[StageStudy, ...]:
        """The stages that have trials."""
        return tuple(stage for stage in self.stages if stage.records)

    @property
    def handoff(self) -> Arch | None:
        """The distribution that stage 2 keeps, once it is chosen; None if there is no stage 2."""
        handed = self.stages[0].marks.handoff
        return handed.arch if handed else None

    @cached_property
    def networks(self) -> int:
        """Networks trained alone to the end. Raises StateError."""
        return sum(ended for _, _, ended in trained_alone(self.run))

    @property
    def finished(self) -> bool:
        return self.result is not None and all(stage.finished for stage in self.stages)


def read_status(run: Run) -> Status:
    """The run as it stands. Raises StateError if a file is damaged, StorageError."""
    return Status(run=run, stages=read_stages(run), result=read_result(run), times=read_times(run))


def scoring_images(run: Run) -> int:
    """Held-out images that the run's trials are scored on; 0 if they are not split yet."""
    sizes = read_sizes(run)
    images = sizes.held_out if sizes else 0
    return min(run.plan.score.held_out or images, images)
