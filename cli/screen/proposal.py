"""A plan proposed for images of one's own: shown with what it will take, and asked about."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from hnas.cli.screen.render import command, table
from hnas.errors import BudgetError
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.quantities import parse_flops

if TYPE_CHECKING:
    import torch

    from hnas.data import Survey
    from hnas.studies.plan.proposal import Proposal


@dataclass(frozen=True, kw_only=True)
class Proposed:
    """A proposal, and what it was made from."""

    proposal: Proposal
    survey: Survey
    source: str
    device: torch.device

    @property
    def plan(self) -> Plan:
        return self.proposal.plan


def propose_plan(source: str, *, device: str, flops: str | None) -> Proposed:
    """A plan for the images of `source`. Raises InputError where they cannot be read, BudgetError
    where no plan fits."""
    from hnas.data import survey
    from hnas.device import choose
    from hnas.studies.plan.proposal import propose

    macs = None if flops is None else parse_flops(flops, "--flops")
    chosen, found = choose(device), survey(source)
    try:
        proposal = propose(found, source, device=chosen.type, flops=macs)
    except BudgetError as error:
        raise BudgetError(f"--flops {flops}: {error}") from None
    return Proposed(proposal=proposal, survey=found, source=source, device=chosen)


def show_proposal(proposed: Proposed, plan: Plan) -> None:
    """Prints why the plan is what it is, and how long `plan` (it, with what the user chose) will
    take and how much memory, from a few steps of it."""
    from hnas.cli.screen.progress import duration
    from hnas.studies.search.estimate import estimate

    click.echo(f"A plan proposed for {proposed.source}:")
    table(("what", "why"), proposed.proposal.reasons)
    click.echo(f"\nA few steps of it on {proposed.device}, as busy as it is now, come to about:")
    rows = list(estimate(plan, proposed.survey, proposed.device))
    table(
        ("step", "work", "time", "memory"),
        [(r.what, r.work, duration(r.seconds), f"{r.memory / 2**20:,.0f} MiB") for r in rows],
    )
    total = duration(sum(row.seconds for row in rows))
    to_edit = command("init", "--data", proposed.source, "plan.toml")
    click.echo(f"In all {total}. To change the plan: {to_edit}, then hnas search --plan plan.toml")


def confirmed() -> bool:
    """Asks whether to begin; where nobody is at a terminal, yes."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    if click.confirm("Begin?", default=True):
        return True
    click.echo("Nothing was begun.")
    return False
