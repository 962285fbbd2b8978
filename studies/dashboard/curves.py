"""Figures of trainings, as JSON for the dashboard's plotly.js."""

from collections.abc import Callable, Iterable, Mapping

from hnas.studies.dashboard.layout import DASHES, Figure, layout
from hnas.studies.figures.style import COLOURS
from hnas.studies.run.history import Row


def training_figures(trainings: Mapping[str, tuple[Row, ...]]) -> dict[str, Figure]:
    """Losses of all trainings and held-out accuracies of networks, by an id; none without any."""
    losses = _traces(trainings, lambda row: row.loss)
    held_out = _traces(trainings, lambda row: row.plain.accuracy if row.plain else None)
    averaged = _traces(trainings, lambda row: row.averaged.accuracy if row.averaged else None)
    for trace in averaged:
        trace["name"] += ", averaged"
        trace["line"]["width"] = 1
    made = {}
    if losses:
        title = layout("Loss of each training", "Mean of an epoch.", x="epoch", y="training loss")
        made["training-loss"] = {"data": losses, "layout": title}
    if held_out:
        explained = "After an epoch, with weights as they were then."
        title = layout("Held-out accuracy of each network", explained, x="epoch", y="accuracy")
        made["training-accuracy"] = {"data": [*held_out, *averaged], "layout": title}
    return made


def _traces(
    trainings: Mapping[str, Iterable[Row]], value: Callable[[Row], float | None]
) -> list[Figure]:
    traces: list[Figure] = []
    for i, (name, rows) in enumerate(trainings.items()):
        points = [(row.epoch, y) for row in rows if (y := value(row)) is not None]
        if points:
            epochs, values = zip(*points, strict=True)
            traces.append(
                {
                    "type": "scatter",
                    "name": name,
                    "x": epochs,
                    "y": [round(y, 4) for y in values],
                    "mode": "lines",
                    "line": {"color": COLOURS[i % 7], "dash": DASHES[i // 7 % 4]},
                    "hovertemplate": "%{y:.4f} after epoch %{x}<extra>%{fullData.name}</extra>",
                }
            )
    return traces
