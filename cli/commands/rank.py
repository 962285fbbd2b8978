"""`hnas rank`: whether a run's scores rank networks as training them alone does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hnas.cli.screen.interrupt import resumable
from hnas.cli.screen.options import device_option, find_run, run_option, storage_option
from hnas.cli.screen.render import table

if TYPE_CHECKING:
    from hnas.studies.experiments.rank import Ranking
    from hnas.studies.experiments.rank_statistics import Agreement


@click.command()
@run_option
@click.option("--stage", type=click.IntRange(1, 3), default=1, help="Whose scores [1].")
@click.option("--n", "count", type=click.IntRange(4), default=30, help="Architectures [30].")
@click.option("--seeds", type=click.IntRange(1), default=4, help="Trainings of each [4].")
@click.option("--epochs", type=click.IntRange(1), help="Of each training [the plan's].")
@device_option
@storage_option
def rank(
    folder: Path | None,
    stage: int,
    count: int,
    seeds: int,
    epochs: int | None,
    device: str,
    storage: str | None,
) -> None:
    """Measure how far a run's scores can be trusted.

    The architectures on the stage's front and others of all FLOPs are trained alone, n x seeds
    times, and their held-out accuracy is compared with the score. What is trained is not trained
    again: a larger --n or --seeds, or the same command after a break, trains what is missing.
    Test images are not used.
    """
    from hnas.studies.run.folder import open_run

    run = open_run(find_run(folder), storage=storage)

    from hnas.cli.screen.progress import display
    from hnas.device import choose
    from hnas.studies.experiments.rank import RankRules
    from hnas.studies.experiments.rank import rank as ranked
    from hnas.studies.search.search import Search

    rules = RankRules(stage=stage, architectures=count, seeds=seeds, epochs=epochs)
    watch = display()
    with resumable(run.folder), run.hold(), watch:
        found = ranked(Search(run, choose(device), watch), rules)
    _show(found)
    for suffix in ("json", "svg"):
        click.echo(f"Wrote {run.folder / f'ranking-stage{stage}.{suffix}'}")


def _show(found: Ranking) -> None:
    of = found.agreement
    click.echo(
        f"\nStage {found.stage}: {of.architectures} architectures, each trained alone "
        f"{of.seeds} times for {found.epochs} epochs, all on {found.images:,} held-out images:"
    )
    table(("of score and accuracy alone", "value", "95% from", "to"), _rows(of))
    if of.regret is not None:
        click.echo(
            f"\nThe pick is {of.regret.value:.4f} +- {of.regret.standard_error:.4f} below the "
            f"best, by seeds that chose neither; {of.regret.better:.0%} of them are better."
        )


def _rows(of: Agreement) -> list[tuple[object, ...]]:
    named = (
        ("Kendall's tau-b", of.tau),
        ("Spearman", of.spearman),
        ("Pearson", of.pearson),
        ("tau-b among the best quarter", of.tau_top),
        ("tau-b with all seeds but one", of.tau_others),
        ("tau-b of that one seed (the reference)", of.reference),
        ("difference of the two", of.difference),
    )
    return [(name, one.value, one.low, one.high) for name, one in named if one is not None]
