"""Trust in a report: rankings of scores, and published networks to compare with."""

import math
from functools import partial

from hnas.studies.figures.ranking import ranking
from hnas.studies.report import pictures
from hnas.studies.report.gather import Report
from hnas.studies.report.page import Drawing, Section, Table
from hnas.studies.run.ranking import Ranking


def ranking_section(report: Report) -> Section:
    """How well scores rank networks, as `hnas rank` measured it."""
    return Section(
        title="Whether scores can be trusted",
        text=tuple(map(_tau, report.rankings))
        or ("Not measured in this run. hnas rank trains networks alone and compares.",),
        drawings=tuple(
            Drawing(
                f"Scores of stage {found.stage} against accuracy alone",
                partial(ranking, found.title, found.groups, found.epochs),
            )
            for found in report.rankings
        ),
    )


def _tau(found: Ranking) -> str:
    of, tau = found.agreement, found.agreement.tau
    asked = (
        f"Stage {found.stage}: {of.architectures} networks, each trained alone {of.seeds} times "
        f"for {found.epochs} epochs,"
    )
    if math.isnan(tau.value):
        return f"{asked} cannot be ranked: all scores or all accuracies are the same."
    return (
        f"{asked} are ranked by their scores with Kendall's tau {tau.value:.2f} (95% "
        f"interval {tau.low:.2f} to {tau.high:.2f}; 1 is the same order, 0 is chance)."
    )


def published_section(report: Report) -> Section:
    """The winner among networks on ImageNet."""
    alt = "The winner among published networks on ImageNet"
    rows = tuple(
        (one.name, f"{one.top1:.1f}", one.params, one.flops, f"{one.image}")
        for one in report.published
    )
    return Section(
        title="Among published networks",
        drawings=(Drawing(alt, partial(pictures.among_published, report)),),
        tables=(Table(("network", "top-1", "parameters", "FLOPs", "image"), rows),),
        notes=(
            "The numbers are as published; hnas published lists the sources. Training recipes "
            "differ, and the test images may differ.",
        ),
    )
