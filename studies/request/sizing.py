"""Sizes of a plan that follow from what a search may cost: narrower networks for a budget, epochs
and trials for a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from hnas.errors import InputError
from hnas.persist.difference import differences
from hnas.studies.plan.budget import Asked, average, changes, fit
from hnas.studies.plan.change import multiplied
from hnas.studies.plan.plan import Plan

if TYPE_CHECKING:
    from hnas.studies.run.folder import Run
    from hnas.studies.search.estimate import Estimate


def within_budget(plan: Plan, asked: Asked, begun: Run | None) -> tuple[Plan, str]:
    """The plan with room within a budget, and what that changed, in a sentence or none.

    A share is of the plan that a search begins with. The plan of a run that has `begun` with it
    stays as it is. Raises InputError if it has begun with another, BudgetError if nothing fits.
    """
    if begun is not None and asked.shares:
        kept = begun.about.asked or {}
        if (was := {n: v for n, v in kept.items() if n in vars(asked)}) != asked.shares:
            raise InputError(
                f"{asked.spelled(asked.shares)} is a share of the plan that a search begins with, "
                f"and the run {begun.folder} has begun with {asked.spelled(was) or 'no share'}. "
                f"Use another {asked.spell('run')}"
            )
        return plan, ""
    with asked.naming():
        budget = asked.of(plan.net, plan.search.convention)
        fitting = fit(plan, budget)
    if not (changed := ", ".join(changes(plan, fitting))):
        return fitting, ""
    return fitting, (
        f"{asked.spelled(asked.given)}: at most {budget.words()}. An average distribution of the "
        f"plan has {average(plan, plan.net, budget).words()}, so {changed}."
    )


def within_time(plan: Plan, seconds: float, steps: Sequence[Estimate]) -> Plan:
    """The plan with its epochs and trials times one factor, so that each step keeps its share of
    the time: the largest factor with which the estimated `steps` take no longer.

    Raises InputError, with the least time, if the shortest search takes longer.
    """
    from hnas.studies.search.estimate import amounts

    def takes(factor: float) -> float:
        amount = amounts(multiplied(plan, factor))
        return sum(step.each * step.share * n for step, n in zip(steps, amount, strict=True))

    if (least := takes(0)) > seconds:
        raise InputError(
            f"the shortest search of this plan takes about {least:,.0f} seconds here: an epoch a "
            f"training and a generation a stage, {plan.retrain.top} networks retrained. Give it "
            "that time, or smaller networks (flops), or a lower retrain.top"
        )
    low, high = 0.0, 1.0
    while takes(high) <= seconds and high < MOST:
        low, high = high, 2 * high
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if takes(middle) <= seconds else (low, middle)
    return multiplied(plan, low)


MOST = 1e4
"""Largest factor of epochs and trials."""


def sizes(was: Plan, now: Plan) -> str:
    """The epochs and trials that changed: "stage1.trials 200 -> 260"."""
    found = differences(asdict(was), asdict(now)).items()
    return ", ".join(f"{name} {before} -> {after}" for name, (before, after) in found)
