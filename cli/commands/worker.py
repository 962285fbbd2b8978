"""`hnas worker`: scores for searches that were started with `--workers`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hnas.cli.screen.interrupt import interruptible
from hnas.cli.screen.options import ALLOW_CODE, code_option, device_option, storage_option
from hnas.studies.plan.change import check_code

if TYPE_CHECKING:
    from hnas.studies.run.folder import Run
    from hnas.studies.scoring.worker import Told

EVERY = 5.0
"""Seconds between two lines."""


@click.command()
@click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Work for this run alone, whose folder is mounted here [all, each in the folder that its "
    "search names].",
)
@click.option(
    "--idle",
    type=click.FloatRange(0),
    default=300.0,
    metavar="SECONDS",
    help="End when no search has asked for workers for so long [300].",
)
@code_option
@device_option
@storage_option
def worker(
    folder: Path | None, idle: float, allow_code: bool, device: str, storage: str | None
) -> None:
    """Score for searches that were started with --workers.

    Any number of workers, on any machines that reach the database and the run's folder, take
    architectures from the searches of a storage, score them and tell. The supernet and the images
    are checked by their hashes: a worker that has others scores nothing.

    It may be started before the search, waits while a supernet trains, and ends when no search asks
    for workers any more. Ctrl-C and SIGTERM put the architecture it has back; one that dies is
    missed after the search's --lease, and its architecture waits again.

    \b
    Examples:
      hnas search --workers --storage postgresql://hnas:PASSWORD@db/hnas
      hnas worker --storage postgresql://hnas:PASSWORD@db/hnas
      hnas worker --run /mnt/runs/digits     a folder that is elsewhere here
    """
    from hnas.device import choose
    from hnas.studies.run.folder import shared_run
    from hnas.studies.scoring.from_run import from_folders
    from hnas.studies.scoring.worker import Worker, reach
    from hnas.studies.trials.queue import Called

    if storage is None:
        raise click.UsageError("a worker needs --storage, or $HNAS_STORAGE: the search's")

    def chosen(called: Called) -> bool:
        return folder is None or shared_run(folder).name == called.call.name

    def check(run: Run) -> None:
        # A folder that --run names was chosen by whoever typed it.
        if not allow_code and folder is None:
            check_code(run.plan, f"the run {run.folder}", allow=f"{ALLOW_CODE} or --run")

    load = from_folders(choose(device), folder=folder, check=check, note=_note)
    with interruptible("What this worker was scoring waits for another."):
        found = reach(storage, idle, _note)
        click.echo("waiting for searches with --workers")
        lines = _Lines()
        Worker(found, load, studies=chosen, idle=idle, on_trial=lines.told).work()
    click.echo(f"{lines.kept:,} scored; no search asks for workers any more.")


def _note(text: str) -> None:
    click.echo(f"note: {text}")


class _Lines:
    """A line for the first trial, then one every few seconds."""

    def __init__(self) -> None:
        self.kept = 0
        self._shown = -EVERY

    def told(self, told: Told) -> None:
        if not told.kept:
            _note(
                f"trial {told.number} of {told.study} went to another worker: this one gave no "
                "sign of life for the search's --lease"
            )
            return
        self.kept += 1
        if time.monotonic() - self._shown >= EVERY:
            self._shown = time.monotonic()
            click.echo(
                f"{told.study}: trial {told.number} has {told.score.accuracy:.4f} in "
                f"{told.score.seconds:.2f} s, {self.kept:,} scored"
            )
