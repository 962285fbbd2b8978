"""Costs of a search, and the way to repeat it."""

from __future__ import annotations

from hnas.studies.report.gather import Report
from hnas.studies.report.page import Section, Table


def cost_section(report: Report) -> Section:
    """Images and seconds that each step took."""
    return Section(
        title="What it cost",
        tables=(
            Table(
                columns=("step", "images trained on", "networks scored", "images", "seconds"),
                rows=tuple(
                    (
                        cost.step,
                        f"{cost.trained:,}" if cost.trained else "",
                        f"{cost.scored:,}" if cost.scored else "",
                        f"{cost.images:,}" if cost.images else "",
                        "" if cost.seconds is None else f"{cost.seconds:,.1f}",
                    )
                    for cost in report.costs
                ),
            ),
        ),
        notes=("An image counts each time it is used. The time of training is not recorded.",),
    )


def repeat_section(report: Report) -> Section:
    """Commands, plan and versions."""
    return Section(
        title="How to repeat it",
        text=("Save this plan as plan.toml. With the same versions and images run:",),
        code=("\n".join(report.commands), report.toml),
        tables=(Table(columns=("made with", ""), left=2, rows=tuple(report.environment.items())),),
        notes=(
            "On a CPU with as many threads the same plan gives the same trials and values. "
            "Elsewhere the last digits differ.",
        ),
    )
