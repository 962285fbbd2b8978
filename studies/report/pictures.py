"""The pictures of a report. They work in black and white: shapes, dashes and hatches differ."""

import itertools
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from hnas.studies.figures.style import COLOURS, MARKERS, panels
from hnas.studies.findings.figure import GREY, depth_panel, importances_panels, shares_panel
from hnas.studies.objective.costs import Measure
from hnas.studies.report.gather import Report
from hnas.studies.run.confusion import Confusion
from hnas.studies.run.result import TrainedNetwork
from hnas.studies.run.studies import StageStudy
from hnas.studies.trials.pareto import growth, pareto

BLACK = {"color": "black"}
HOLLOW = {"facecolors": "none", "edgecolors": "black"}


def fronts(report: Report) -> Figure:
    """Every trial of every study, their fronts, and the retrained networks: a panel for each cost
    that is minimised."""
    figure, axes = panels(1, len(report.measures), width=9, height=5)
    named: dict[str, Any] = {}
    for axis, measure in zip(axes, report.measures, strict=True):
        _front(axis, report, measure)
        shapes, words = axis.get_legend_handles_labels()
        named |= dict(zip(words, shapes, strict=True))
    figure.legend(
        named.values(),
        named.keys(),
        fontsize="small",
        loc="outside lower center",  # within, it hides trials
        ncols=3,
        frameon=False,
    )
    return figure


def _front(axis: Axes, report: Report, measure: Measure) -> None:
    for i, study in enumerate(report.studies):
        colour, marker = COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]
        costs = [measure.of(record) or 0 for record in study.records]
        scores = [record.accuracy for record in study.records]
        axis.scatter(costs, scores, s=14, marker=marker, color=colour, alpha=0.3, linewidths=0)
        best = pareto(list(zip(scores, costs, strict=True)))
        axis.plot(
            [costs[j] for j in best],
            [scores[j] for j in best],
            drawstyle="steps-post",
            linestyle=("-", "--", "-.", ":")[i % 4],
            marker=marker,
            color=colour,
            label=f"{study.stage}: trials (pale) and front, inherited weights",
        )
    if result := report.status.result:
        rows: tuple[tuple[Sequence[TrainedNetwork], dict[str, Any]], ...] = (
            (result.candidates, {**HOLLOW, "s": 48, "marker": "D", "label": "retrained"}),
            ([result.winner], {**BLACK, "s": 150, "marker": "*", "label": "the winner, retrained"}),
            ([result.all_global], {**BLACK, "s": 60, "marker": "x", "label": "all-global"}),
        )
        for networks, style in rows:
            known = [one for one in networks if measure.of(one) is not None]
            costs = [measure.of(one) or 0 for one in known]
            axis.scatter(costs, [one.accuracy for one in known], zorder=3, **style)
    if (budget := report.limits.most(measure)) is not None:
        most = budget / measure.unit
        axis.axvline(most, color=GREY, linestyle=":", label=f"budget, {measure.show(most)}")
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.set(xlabel=measure.axis, ylabel="held-out accuracy")


def history(study: StageStudy) -> Figure:
    """Scores by trial with the best so far, and the hypervolume as it grows."""
    figure, (scores, volume) = panels(1, 2, width=9, height=3.2)
    accuracies = [record.accuracy for record in study.records]
    trials = range(1, len(accuracies) + 1)
    scores.scatter(trials, accuracies, s=10, color=COLOURS[0], alpha=0.5, label="a trial")
    best = list(itertools.accumulate(accuracies, max))
    scores.plot(trials, best, color=COLOURS[1], label="the best so far")
    scores.set(xlabel="trials", ylabel="score", title=f"{study.stage}: scores")
    scores.legend(fontsize="small", loc="lower right")
    costs = study.costs
    ends, volumes = growth([costs.point(one) for one in study.records], *costs.bounds)
    volume.plot(ends, volumes, color=COLOURS[2])
    volume.set(xlabel="trials", ylabel="share of the area", title=f"{study.stage}: hypervolume")
    return figure


def common(report: Report) -> Figure:
    """Global groups by depth, and what elites have in common."""
    rows = sum(len(found.kinds) + len(found.kernels) for found in report.findings)
    figure, (depth, shares) = panels(1, 2, width=9, height=max(3.4, 1.2 + 0.32 * rows))
    depth_panel(depth, report.findings)
    shares_panel(shares, report.findings, report.paper)
    return figure


def importance(report: Report) -> Figure:
    """The most important parameters of each study that has enough trials."""
    count = sum(found.importances is not None for found in report.findings)
    figure, axes = panels(1, max(count, 2), width=9, height=3.4)
    importances_panels(axes, report.findings)
    return figure


def confused(found: Confusion, names: Sequence[str]) -> Figure:
    """A row for each class that images show, a column for each that was given; a cell is as dark as
    its share of the row."""
    k = len(names)
    side = max(3.2, 1.6 + 0.34 * k)
    figure, (axis,) = panels(width=side, height=side)
    shares = [[0.0] * k for _ in range(k)]
    for a, row in enumerate(found.rows):
        for b, images in row.items():
            shares[a][b] = images / found.of_class(a)
            colour = "white" if shares[a][b] > 0.5 else "black"
            centre: dict[str, Any] = {"ha": "center", "va": "center", "size": "x-small"}
            axis.text(b + 0.5, a + 0.5, f"{images}", color=colour, **centre)
    # Vectors: a page that holds a raster picture would need a looser policy.
    axis.pcolormesh(shares, cmap="Greys", vmin=0, vmax=1)
    axis.grid(False)
    axis.invert_yaxis()
    middle = [i + 0.5 for i in range(k)]
    axis.set_xticks(middle, names, rotation=90, size="x-small", parse_math=False)
    axis.set_yticks(middle, names, size="x-small", parse_math=False)
    axis.set(xlabel="given", ylabel="shown")
    return figure


def among_published(report: Report) -> Figure:
    """The winner among networks that others published on ImageNet."""
    figure, (axis,) = panels(width=9, height=5)
    families = list(dict.fromkeys(network.family for network in report.published))
    for i, family in enumerate(families):
        members = [network for network in report.published if network.family == family]
        axis.plot(
            [network.macs for network in members],
            [network.top1 for network in members],
            marker=MARKERS[i % len(MARKERS)],
            color=COLOURS[i % len(COLOURS)],
            linestyle="--" if i % 2 else "-",
            linewidth=0.8,
            label=family,
        )
    if found := report.answer:
        top1 = found.winner_accuracy
        axis.errorbar(
            found.winner.macs,
            100 * top1.value,
            yerr=[[100 * (top1.value - top1.low)], [100 * (top1.high - top1.value)]],
            fmt="*",
            markersize=14,
            color="black",
            label="the winner",  # a run's name could hold what matplotlib takes for mathematics
        )
    axis.set_xscale("log")
    axis.xaxis.set_major_formatter(EngFormatter(sep=""))
    axis.xaxis.set_minor_formatter(EngFormatter(sep=""))
    axis.set(xlabel="multiply-accumulates of one image", ylabel="top-1 on ImageNet, percent")
    axis.legend(fontsize="small", ncols=2, loc="lower right")
    return figure
