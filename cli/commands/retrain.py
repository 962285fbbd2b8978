"""`hnas retrain`: train the best of a finished search by themselves."""

from dataclasses import replace
from pathlib import Path

import click

from hnas.cli.screen import options
from hnas.cli.screen.interrupt import resumable
from hnas.cli.screen.render import show_next, show_retrained
from hnas.cli.screen.session import start
from hnas.studies.request.request import Request


@click.command()
@options.run
@click.option(
    "--top",
    type=options.COUNT,
    help="Number of the last stage's best architectures to train.",
    show_default=options.OF_PLAN,
)
@options.epochs
@options.allow_code
@options.device
@options.storage
def retrain(
    folder: Path | None,
    top: int | None,
    epochs: int | None,
    allow_code: bool,
    device: str,
    storage: str | None,
) -> None:
    """Train the best of a finished search by themselves.

    Networks that are trained already are not trained again. Before the final test --top and
    --epochs are kept in the run's plan, so that `hnas search` uses these networks; after it they
    hold for this command alone.

    \b
    Examples:
      hnas retrain --run runs/digits --top 10 --epochs 200
    """
    from hnas.studies.run.folder import begin_run
    from hnas.studies.run.result import has_result
    from hnas.studies.search.retrain import retrain as retrained

    run = options.trusted_run(folder, storage, allow_code)
    rules = run.plan.retrain
    if epochs is not None:
        rules = replace(rules, training=replace(rules.training, epochs=epochs))
    if top is not None:
        rules = replace(rules, top=top)
    plan = replace(run.plan, retrain=rules)
    tested = has_result(run.folder)
    with resumable(run.folder), run.hold():
        run = replace(run, plan=plan) if tested else begin_run(run.folder, plan, storage=storage)
        session, shown = start(run, Request(device=device))
        with shown:
            networks = retrained(session)
    show_retrained(networks)
    show_next("status" if tested else "search", "--run", run.folder)
