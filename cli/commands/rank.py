"""`hnas rank`: scores of a run compared with the accuracy of networks trained alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hnas.cli.screen import options
from hnas.cli.screen.interrupt import resumable
from hnas.cli.screen.render import table

if TYPE_CHECKING:
    from hnas.studies.run.ranking import Agreement, Ranking


@click.command()
@options.run
@click.option("--stage", type=click.IntRange(1, 3), default=1, help="Stage whose scores to judge.")
@click.option("--n", "count", type=click.IntRange(4), default=30, help="Architectures to train.")
@click.option("--seeds", type=options.COUNT, default=4, help="Trainings of each architecture.")
@options.epochs
@options.allow_code
@options.device
@options.storage
def rank(
    folder: Path | None,
    stage: int,
    count: int,
    seeds: int,
    epochs: int | None,
    allow_code: bool,
    device: str,
    storage: str | None,
) -> None:
    """Measure how far a run's scores can be trusted.

    The command trains architectures of the stage's front, and others of all sizes, alone: n x seeds
    trainings. It compares their held-out accuracy with their scores. Finished trainings are kept:
    with a larger --n or --seeds, or after an interruption, only the missing ones are trained. It
    does not use test images.
    """
    run = options.trusted_run(folder, storage, allow_code)

    from hnas.cli.screen.progress import display
    from hnas.device import choose
    from hnas.studies.experiments.rank import RankRules
    from hnas.studies.experiments.rank import rank as ranked
    from hnas.studies.run.ranking import ranking_file
    from hnas.studies.search.session import Session

    rules = RankRules(stage=stage, architectures=count, seeds=seeds, epochs=epochs)
    shown = display()
    with resumable(run.folder), run.hold(), shown:
        found = ranked(Session(run, choose(device), shown), rules)
    _show(found)
    for suffix in (".json", ".svg"):
        click.echo(f"Wrote {(run.folder / ranking_file(stage)).with_suffix(suffix)}")


def _show(found: Ranking) -> None:
    of = found.agreement
    click.echo(
        f"\nStage {found.stage}: {of.architectures} architectures, each trained alone "
        f"{of.seeds} times for {found.epochs} epochs, tested on {found.images:,} held-out images:"
    )
    table(("of score and accuracy alone", "value", "95% from", "to"), _rows(of))
    if of.regret is not None:
        click.echo(
            f"\nThe search's pick is {of.regret.value:.4f} +- {of.regret.standard_error:.4f} less "
            f"accurate than the best network; {of.regret.better:.0%} of the networks beat it."
        )
    click.echo(f"\n{found.conclusion}\n")


def _rows(of: Agreement) -> list[tuple[object, ...]]:
    named = (
        ("Kendall's tau-b", of.tau),
        ("Spearman", of.spearman),
        ("Pearson", of.pearson),
        ("tau-b among the best quarter", of.tau_top),
        ("tau-b with all seeds but one", of.tau_others),
        ("tau-b of the left-out seed (the reference)", of.reference),
        ("difference of these two", of.difference),
    )
    return [(name, one.value, one.low, one.high) for name, one in named if one is not None]
