"""The trainings of a report: their curves, and which weights were kept."""

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hnas.studies.figures.style import COLOURS, panels
from hnas.studies.report.gather import Report
from hnas.studies.report.page import Drawing, Section, Table
from hnas.studies.run.history import Row
from hnas.training.record import Held

LINES = ("-", "--", "-.", ":")


def training_section(report: Report) -> Section:
    """Losses and held-out accuracies of the run's trainings, epoch by epoch."""
    trainings = report.curves
    last = [rows[-1] for rows in trainings.values()]
    kept = [row.kept for row in last]
    columns = {
        "training": list(trainings),
        "epochs": [f"{row.epoch:,} of {row.epochs:,}" for row in last],
        "loss": [f"{row.loss:.4f}" for row in last],
        "held-out": [_accuracy(row.plain) for row in last],
        "averaged": [_accuracy(row.averaged) for row in last],
        "kept": [_accuracy(one) for one in kept],
        "of epoch": [f"{one.epoch:,}{', averaged' * one.averaged}" if one else "" for one in kept],
    }
    return Section(
        title="How they were trained",
        drawings=(
            Drawing(
                "Training loss and held-out accuracy by epoch", partial(training_curves, trainings)
            ),
        ),
        tables=(Table.of(columns),),
        notes=(
            "Loss and accuracies are those of the last epoch. Kept: the weights that did best on "
            "held-out images, among those that the plan's keep and ema allow. Held-out accuracy by "
            "which something was picked is a little too good.",
        ),
    )


def training_curves(trainings: Mapping[str, tuple[Row, ...]]) -> Figure:
    """Losses of all trainings; held-out accuracies of those that were judged."""
    figure, (losses, accuracies) = panels(1, 2, width=9, height=3.6)
    for i, (name, rows) in enumerate(trainings.items()):
        colour, dash = COLOURS[i % len(COLOURS)], LINES[i // len(COLOURS) % len(LINES)]
        style: dict[str, Any] = {"color": colour, "linestyle": dash, "linewidth": 1.2}
        losses.plot([row.epoch for row in rows], [row.loss for row in rows], **style, label=name)
        _held_out(accuracies, ((row.epoch, row.plain) for row in rows), style)
        averaged = {**style, "linewidth": 0.6, "marker": ".", "markersize": 3}
        _held_out(accuracies, ((row.epoch, row.averaged) for row in rows), averaged)
        if (kept := rows[-1].kept) is not None:
            accuracies.scatter([kept.epoch], [kept.accuracy], s=36, marker="o", color=colour)
    losses.set(xlabel="epoch", ylabel="training loss")
    accuracies.set(xlabel="epoch", ylabel="held-out accuracy (thin: averaged; point: kept)")
    losses.legend(fontsize="small", loc="upper right")
    return figure


def _held_out(axis: Axes, points: Iterable[tuple[int, Held | None]], style: dict[str, Any]) -> None:
    known = [(epoch, held.accuracy) for epoch, held in points if held is not None]
    if known:
        axis.plot(*zip(*known, strict=True), **style)


def _accuracy(held: Held | None) -> str:
    return "" if held is None else f"{held.accuracy:.4f}"
