"""A proposed plan: shown with an estimate, and confirmed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hnas.cli.screen.render import command, duration, table, wrapped

if TYPE_CHECKING:
    from hnas.studies.plan.proposal import Proposal
    from hnas.studies.request.decide import Decision
    from hnas.studies.request.request import Request


def show_proposal(proposal: Proposal, decision: Decision) -> None:
    """Prints the reasons of the proposal, and an estimate of time and memory for the plan that was
    decided, from a few steps of it."""
    from hnas.device import choose
    from hnas.studies.search.estimate import estimate

    source, device = proposal.plan.data.source, choose(decision.request.device)
    click.echo(f"A plan proposed for {source}:")
    for what, why in proposal.reasons_for(decision.plan):
        click.echo(wrapped(f"{what}: {why}", indent="  "))
    click.echo(f"\nEstimated from a few steps on {device}, as busy as it is now:")
    rows = list(estimate(decision.plan, proposal.survey, device))
    table(
        ("step", "work", "time", "memory"),
        [(r.what, r.work, duration(r.seconds), f"{r.memory / 2**20:,.0f} MiB") for r in rows],
    )
    total = duration(sum(row.seconds for row in rows))
    to_edit = command("init", "--data", source, *_asked(decision.request), "plan.toml")
    click.echo(f"{total} in all. To change the plan: {to_edit}, then hnas search --plan plan.toml")


def _asked(request: Request) -> list[str]:
    """The options that `hnas init` takes too, as they were given."""
    names = ("pretrained", "flops", "convention", "params", "time")
    given = [(name, getattr(request, name)) for name in names]
    given += [("set", f"{key}={value}") for key, value in request.values.items()]
    words = ((f"--{name}", str(value)) for name, value in given if value is not None)
    return [word for pair in words for word in pair]


def confirmed() -> bool:
    """Asks whether to begin; without a terminal the answer is yes."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    if click.confirm("Begin?", default=True):
        return True
    click.echo("Nothing was begun.")
    return False
