"""A plan before its search begins: shown with an estimate, and confirmed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from hnas.cli.screen.render import command, duration, table, wrapped

if TYPE_CHECKING:
    from hnas.data.sources.survey import Survey
    from hnas.studies.request.decide import Decision
    from hnas.studies.request.request import Request

LONG = 600
"""Seconds: a search that may take longer begins only if a person says so."""


def begins(decision: Decision, *, yes: bool) -> bool:
    """Whether the search shall begin. A plan that was proposed is shown with an estimate; on a
    terminal also one of a file, and there a person is asked, unless `yes`."""
    proposal, asked = decision.proposal, _terminal()
    own = asked and decision.begun is None and decision.request.plan is not None
    if proposal is not None:
        source = proposal.plan.data.source
        click.echo(f"A plan proposed for {source}:")
        for what, why in proposal.reasons_for(decision.plan):
            click.echo(wrapped(f"{what}: {why}", indent="  "))
        to_edit = command("init", "--data", source, *_asked(decision.request), "plan.toml")
        hint = f"To change the plan: {to_edit}, then hnas search --plan plan.toml"
        most = _estimate(decision, proposal.survey, hint)
    elif own:
        from hnas.data import survey
        from hnas.device import choose
        from hnas.studies.plan.proposal import contents

        images, device = survey(decision.plan.data.source), choose(decision.request.device)
        click.echo(f"The plan {decision.request.plan}:")
        for words in contents(decision.plan, images, device.type):
            click.echo(wrapped(words, indent="  "))
        most = _estimate(decision, images, "")
    return yes or not asked or not (own or proposal) or _confirmed(most)


def _estimate(decision: Decision, survey: Survey, hint: str) -> float:
    """Prints an estimate of time and memory for the plan that was decided, from a few steps of it,
    and gives the most seconds."""
    from hnas.device import choose
    from hnas.machine import load
    from hnas.studies.search.estimate import estimate

    device, busy = choose(decision.request.device), load()
    now = f"as busy as it is now{f' ({busy})' if busy else ''}"
    click.echo(f"\nEstimated from a few steps on {device}, {now}:")
    rows = list(estimate(decision.plan, survey, device))
    table(
        ("step", "work", "time", "memory"),
        [(r.what, r.work, _span(*r.between), f"{r.memory / 2**20:,.0f} MiB") for r in rows],
    )
    least, most = (sum(row.between[i] for row in rows) for i in (0, 1))
    click.echo(f"{_span(least, most)} in all.{f' {hint}' if hint else ''}")
    return most


def _span(least: float, most: float) -> str:
    """A range of times in words."""
    words = dict.fromkeys(map(duration, (least, most)))
    return " to ".join(words)


def _asked(request: Request) -> list[str]:
    """The options that `hnas init` takes too, as they were given."""
    names = ("pretrained", "flops", "convention", "params", "time")
    given = [(name, getattr(request, name)) for name in names]
    given += [("set", f"{key}={value}") for key, value in request.values.items()]
    words = ((f"--{name}", str(value)) for name, value in given if value is not None)
    return [word for pair in words for word in pair]


def _terminal() -> bool:
    """Whether a person can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _confirmed(most: float) -> bool:
    """Asks whether to begin what takes up to `most` seconds; no is the default of a long search."""
    if click.confirm("Begin?", default=most <= LONG):
        return True
    click.echo("Nothing was begun.")
    return False
