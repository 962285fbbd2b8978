"""Sizes of a plan that follow what a search may cost: narrower networks for a budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnas.errors import InputError
from hnas.studies.plan.budget import Asked, changes, fit
from hnas.studies.plan.plan import Plan

if TYPE_CHECKING:
    from hnas.studies.run.folder import Run


def within_budget(plan: Plan, asked: Asked, begun: Run | None) -> tuple[Plan, str]:
    """The plan with room within a budget, and what that changed, in a sentence or none.

    A share is of the plan that a search begins with. The plan of a run that has `begun` with it
    stays as it is. Raises InputError if it has begun with another, BudgetError if nothing fits.
    """
    if begun is not None and asked.shares:
        if (was := begun.about.asked or {}) != asked.shares:
            raise InputError(
                f"{asked.spelled(asked.shares)} is a share of the plan that a search begins with, "
                f"and the run {begun.folder} has begun with {asked.spelled(was) or 'no share'}. "
                f"Use another {asked.spell('run')}"
            )
        return plan, ""
    with asked.naming():
        budget = asked.of(plan.net)
        fitting = fit(plan, budget)
    if not (changed := ", ".join(changes(plan, fitting))):
        return fitting, ""
    return fitting, (
        f"{asked.spelled(asked.given)}: {budget.words()}. An average distribution of the plan has "
        f"more, so {changed}."
    )
