"""Costs of a search, and the way to repeat it."""

from hnas.studies.report.gather import Report
from hnas.studies.report.page import Section, Table


def cost_section(report: Report) -> Section:
    """Images and seconds that each step took."""
    rows = tuple(
        (
            cost.step,
            *(f"{one:,}" if one else "" for one in (cost.trained, cost.scored, cost.images)),
            "" if cost.seconds is None else f"{cost.seconds:,.1f}",
        )
        for cost in report.costs
    )
    columns = ("step", "images trained on", "networks scored", "images", "seconds")
    return Section(
        title="What it cost",
        tables=(Table(columns, rows),),
        notes=(
            "An image counts each time it is used. Seconds are on the clock, in all sessions; of a "
            "run that an older version began, those of scoring alone.",
        ),
    )


def repeat_section(report: Report) -> Section:
    """Commands, plan and versions."""
    return Section(
        title="How to repeat it",
        text=("Save this plan as plan.toml. With the same versions and images run:",),
        code=("\n".join(report.commands), report.toml),
        tables=(Table(("made with", ""), tuple(report.environment.items()), left=2),),
        notes=(
            "On a CPU with as many threads the same plan gives the same trials and values. "
            "Elsewhere the last digits differ.",
        ),
    )
