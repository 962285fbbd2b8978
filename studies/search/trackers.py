"""Trackers: listeners that log a search's curves and trials for programs that draw them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hnas.errors import InputError
from hnas.studies.run.folder import Run
from hnas.studies.search.events import Listener, TrialEvent

if TYPE_CHECKING:
    from hnas.training.loop import Epoch

FOLDER = "tensorboard"
"""In the run's folder: `tensorboard --logdir runs`."""


class TensorBoard(Listener):
    """Logs losses, learning rates and held-out accuracies by epoch, scores by trial."""

    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def epoch(self, what: str, epoch: Epoch) -> None:
        values = {"loss": epoch.loss, "lr": epoch.lr, "images per second": epoch.images_per_second}
        if epoch.plain is not None:
            values["held-out accuracy"] = epoch.plain.accuracy
        self._log(what, values, epoch.epoch)

    def trial(self, stage: int, event: TrialEvent) -> None:
        record = event.record
        values = {"score": record.accuracy, "MACs": record.macs, "best score": event.best.accuracy}
        self._log(f"stage {stage}", values | {"hypervolume": event.hypervolume}, event.done)

    def _log(self, what: str, values: dict[str, float], step: int) -> None:
        for name, value in values.items():
            self._writer.add_scalar(f"{what}/{name}", value, step)
        self._writer.flush()  # a search that is stopped keeps what it had


def tracker(run: Run, name: str | None) -> Listener:
    """The tracker of a name, or a listener that does nothing. Raises InputError if it is unknown,
    or its package is not installed."""
    if name is None:
        return Listener()
    if name != FOLDER:
        raise InputError(f"log must be {FOLDER!r}, got {name!r}")
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError(f"log {name} needs its package: pip install 'hnas[log]'") from error
    # Its files are of this session: one that resumes adds others, which are drawn together.
    return TensorBoard(SummaryWriter(str(run.folder / FOLDER)))
