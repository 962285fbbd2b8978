"""A session on the screen: what it works on, and the result of each step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from hnas.cli.screen.render import arch_drawing, command, front_table, short, wrapped
from hnas.studies.search.events import Listener

if TYPE_CHECKING:
    from hnas.architecture.arch import Arch
    from hnas.cli.screen.progress import Display
    from hnas.studies.request.request import Request
    from hnas.studies.run.folder import Run
    from hnas.studies.search.session import Session
    from hnas.studies.search.stage import StageResult
    from hnas.studies.trials.record import Record


def start(run: Run, request: Request) -> tuple[Session, Display]:
    """A session of the run, closed with the command, and the display that shows it."""
    from hnas.device import choose
    from hnas.studies.run.latency import read_costs

    device = choose(request.device)
    click.echo(
        f"{run.folder}: {run.plan.data.source}, {read_costs(run).words(short)}, on {device}, "
        f"{run.plan.search.strategy} search"
    )

    # What takes longer to import comes after the first line.
    from hnas.cli.screen.processes import world
    from hnas.cli.screen.progress import display
    from hnas.studies.dashboard.listener import Annotator
    from hnas.studies.search.calls import call
    from hnas.studies.search.events import Listeners
    from hnas.studies.search.session import Session
    from hnas.studies.search.trackers import tracker
    from hnas.studies.trials.url import masked

    shown = display()
    log = tracker(run, request.log)
    listener = Listeners(shown, Annotator(shown.note), log, _Steps(shown))
    lease = request.patience
    session = Session(run, device, listener, rescore=request.rescore, world=world(), lease=lease)
    click.get_current_context().call_on_close(session.close)
    if lease is not None:
        call(session)
        click.echo(f"Workers score: {command('worker', '--storage', masked(run.storage))}")
    return session, shown


class _Steps(Listener):
    """Shows the result of each step, between the work that a display shows."""

    def __init__(self, display: Display) -> None:
        self._display = display

    def handed_over(self, stage: int, distribution: Arch, front: Sequence[Arch]) -> None:
        networks = f"{len(front)} network{'s'[: len(front) > 1]}"
        given = f"the front of stage {stage - 1}, {networks}" if front else None
        with self._display.paused():
            click.echo(f"\nHanded over to stage {stage}: {given or arch_drawing(distribution)}\n")

    def stage_done(self, run: Run, stage: int, result: StageResult) -> None:
        with self._display.paused():
            show_front(run, stage, result.records)


def show_front(run: Run, stage: int, records: Sequence[Record]) -> None:
    """Prints the front of a stage that has these trials."""
    from hnas.studies.run.status import scoring_images
    from hnas.studies.trials.pareto import front
    from hnas.studies.trials.smoothing import picking

    search, images = run.plan.search, scoring_images(run)
    found, smooth = front(records, search.objective), picking(records, search.pick)
    click.echo(f"\nStage {stage}: {len(found)} of {len(records):,} trials are on the Pareto front:")
    front_table(found, images, search.objective, run.plan.score.metric, smooth)
    click.echo(f"\n= no significant difference from the best (95%, {images:,} held-out images).")
    if smooth:
        click.echo(wrapped(smooth.words))
