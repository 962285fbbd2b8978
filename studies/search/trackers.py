"""Trackers: listeners that log a search's curves and trials for programs that draw them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from hnas.errors import InputError
from hnas.studies.run.folder import Run
from hnas.studies.search.events import Listener, TrialEvent

if TYPE_CHECKING:
    from hnas.training.loop import Epoch

FOLDER = "tensorboard"
"""In the run's folder: `tensorboard --logdir runs`."""
PROJECT = "hnas"
"""What the other programs call all searches together; each is named after its run's folder."""
UNNAMEABLE = re.compile(r"[^\w/ .-]")
"""What MLflow takes in no name: the comma of "the winner, on all images"."""
Write = Callable[[str, Mapping[str, float], int], object]
"""Logs values by name: of which training or stage, the values, after how many epochs or trials."""


class Tracker(Listener):
    """Logs losses, learning rates and held-out accuracies by epoch, scores by trial."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def epoch(self, what: str, epoch: Epoch) -> None:
        values = {"loss": epoch.loss, "lr": epoch.lr, "images per second": epoch.images_per_second}
        if epoch.plain is not None:
            values["held-out accuracy"] = epoch.plain.accuracy
        self._write(what, values, epoch.epoch)

    def trial(self, stage: int, event: TrialEvent) -> None:
        record = event.record
        values = {"score": record.accuracy, "MACs": record.macs, "best score": event.best.accuracy}
        self._write(f"stage {stage}", values | {"hypervolume": event.hypervolume}, event.done)


def _tensorboard(run: Run) -> Write:
    from torch.utils.tensorboard import SummaryWriter

    # Its files are of this session: one that resumes adds others, which are drawn together.
    writer = SummaryWriter(str(run.folder / FOLDER))

    def write(what: str, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            writer.add_scalar(f"{what}/{name}", value, step)
        writer.flush()  # a search that is stopped keeps what it had

    return write


def _mlflow(run: Run) -> Write:
    import mlflow

    mlflow.set_experiment(PROJECT)
    # Nested, and left at once: the process may have another run, of the user's or of a search
    # before. Values are logged to a run that is left too.
    with mlflow.start_run(run_name=run.folder.name, nested=True) as begun:
        of = begun.info.run_id

    def write(what: str, values: Mapping[str, float], step: int) -> None:
        named = _named(UNNAMEABLE.sub("", what), values)
        mlflow.log_metrics(named, step=step, run_id=of)

    return write


def _wandb(run: Run) -> Write:
    import wandb

    # Else a second search of a process would be logged to the run of the first.
    begun = wandb.init(
        project=PROJECT, name=run.folder.name, dir=str(run.folder), reinit="create_new"
    )

    def write(what: str, values: Mapping[str, float], step: int) -> None:
        # Its own steps only rise, over all trainings: each has an axis of its own.
        begun.define_metric(f"{what}/*", step_metric=f"{what}/step")
        begun.log(_named(what, values) | {f"{what}/step": step})

    return write


def _trackio(run: Run) -> Write:
    import trackio

    begun = trackio.init(project=PROJECT, name=run.folder.name)
    return lambda what, values, step: begun.log(_named(what, values), step=step)


def _named(what: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{what}/{name}": float(value) for name, value in values.items()}


TRACKERS: dict[str, Callable[[Run], Write]] = {
    FOLDER: _tensorboard,
    "mlflow": _mlflow,
    "wandb": _wandb,
    "trackio": _trackio,
}
"""By name, which is also that of the extra that installs each."""


def tracker(run: Run, name: str | None) -> Listener:
    """The tracker of a name, or a listener that does nothing. Raises InputError if it is unknown,
    or its package is not installed."""
    if name is None:
        return Listener()
    if name not in TRACKERS:
        raise InputError(f"log must be one of {', '.join(TRACKERS)}, got {name!r}")
    try:
        return Tracker(TRACKERS[name](run))
    except ImportError as error:
        raise InputError(f"log {name} needs its package: pip install 'hnas[{name}]'") from error
