"""`hnas worker`: a process that scores for searches started with `--workers`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hnas.cli.screen import options
from hnas.cli.screen.interrupt import interruptible
from hnas.cli.screen.render import note
from hnas.studies.trials.waiting import IDLE

if TYPE_CHECKING:
    from hnas.studies.run.folder import Run
    from hnas.studies.scoring.claim import ScoredTrial

EVERY = 5.0
"""Seconds between two lines."""


@click.command()
@click.argument("argument", metavar="[RUN]", required=False, type=options.FOLDER)
@click.option(
    "--run",
    type=options.FOLDER,
    metavar="DIR",
    show_default="all runs, each in the folder that its search names",
    help="Work only for this run, in the folder where this machine has it.",
)
@click.option(
    "--idle",
    type=click.FloatRange(0),
    default=IDLE,
    metavar="SECONDS",
    help="End when no search has asked for workers for this long.",
)
@options.allow_code
@options.device
@options.storage
def worker(
    argument: Path | None,
    run: Path | None,
    idle: float,
    allow_code: bool,
    device: str,
    storage: str | None,
) -> None:
    """Score architectures for searches that run with --workers.

    A worker takes architectures from the searches of a storage, scores them and reports the scores.
    There may be any number of workers, on any machines that reach the database and the run's
    folder. A worker checks the supernet and the images by their hashes, and scores nothing if they
    differ.

    A worker may start before the search. It waits while a supernet trains, and ends when no search
    asks for workers any more. On Ctrl-C and SIGTERM it puts its architecture back. If a worker
    dies, another one takes its architecture after the search's --lease.

    \b
    Examples:
      hnas search --workers --storage postgresql://hnas:PASSWORD@db/hnas
      hnas worker --storage postgresql://hnas:PASSWORD@db/hnas
      hnas worker --run /mnt/runs/digits     the run's folder on this machine
    """
    from hnas.device import choose
    from hnas.studies.run.folder import shared_run
    from hnas.studies.run.provenance import libraries
    from hnas.studies.scoring.from_run import from_folders
    from hnas.studies.scoring.worker import Worker
    from hnas.studies.trials.reach import reach
    from hnas.studies.trials.work_request import StudyQueue

    folder = options.named_once(argument, run)
    if storage is None:
        raise click.UsageError("a worker needs the search's --storage, or $HNAS_STORAGE")

    def chosen(queue: StudyQueue) -> bool:
        return folder is None or shared_run(folder).name == queue.request.name

    def check(run: Run) -> None:
        options.trust(run, allow_code)

    load = from_folders(choose(device), folder=folder, check=check, note=note)
    with interruptible("Another worker will score this worker's architecture."):
        found = reach(storage, idle, note)
        click.echo("waiting for searches with --workers")
        lines = _Lines()
        Worker(
            found,
            load,
            studies=chosen,
            idle=idle,
            on_trial=lines.scored,
            note=note,
            versions=libraries(),
        ).work()
    click.echo(f"{lines.kept:,} scored; no search asks for workers any more.")


class _Lines:
    """A line for the first trial, then one every few seconds."""

    def __init__(self) -> None:
        self.kept = 0
        self._shown = -EVERY

    def scored(self, trial: ScoredTrial) -> None:
        if not trial.kept:
            note(
                f"trial {trial.number} of {trial.study} went to another worker: this one was "
                "silent for longer than the search's --lease"
            )
            return
        self.kept += 1
        if time.monotonic() - self._shown >= EVERY:
            self._shown = time.monotonic()
            click.echo(
                f"{trial.study}: trial {trial.number} has {trial.score.accuracy:.4f} in "
                f"{trial.score.seconds:.2f} s, {self.kept:,} scored"
            )
