"""Figures that hnas adds to the dashboard, as JSON for the dashboard's plotly.js.

plotly's Python package would write the same text; tests check every figure against its schema.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from hnas.architecture.arch import SKIP, Arch
from hnas.studies.dashboard.curves import training_figures
from hnas.studies.dashboard.layout import DASHES, GREY, Figure, layout
from hnas.studies.figures.glyphs import drawn
from hnas.studies.figures.style import COLOURS
from hnas.studies.findings.findings import global_shares
from hnas.studies.findings.published import Published
from hnas.studies.objective.costs import MEASURES, Measure, measures
from hnas.studies.run.history import curves
from hnas.studies.run.latency import read_costs
from hnas.studies.run.result import Result, TrainedNetwork
from hnas.studies.run.status import Status
from hnas.studies.run.studies import StageStudy
from hnas.studies.trials.pareto import growth

SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x")
"""Of plotly, in the order of `hnas.studies.figures.style.MARKERS`."""
BESIDE = ("GLiT", "DeiT", "AutoFormer")
"""Families of published networks to compare a front on ImageNet with."""
LOCAL_TO_GLOBAL = [[0, "#FDE3C8"], [0.5, "#9DB4C6"], [1, "#004C7A"]]
"""Ever darker: the order can be seen without colours."""


def figures(status: Status, stage: StageStudy, published: Iterable[Published]) -> dict[str, Figure]:
    """The figures of one stage's page, by an id; none without trials."""
    if not stage.records:
        return {}
    first, *others = measures(status.run.plan.search.objective)
    made = {"fronts": fronts(status, published, first)}
    made |= {f"fronts-{other.name}": fronts(status, published, other) for other in others}
    made["hypervolume"] = hypervolume_growth(stage)
    if any(len(block.G) > 1 for block in stage.conditions.space.blocks):
        made["global-groups"] = global_groups(stage)
    return made | training_figures(curves(status.run, status.result))


def fronts(
    status: Status, published: Iterable[Published] = (), measure: Measure = MEASURES["macs"]
) -> Figure:
    """Accuracy against a cost: the front of every stage, the retrained networks, the published."""
    alone = len(measures(status.run.plan.search.objective)) == 1
    traces: list[Figure] = []
    for i, stage in enumerate(status.searched):
        traces.append(
            {
                "name": f"front of stage {stage.number}",
                "x": [measure.of(record) for record in stage.front],
                "y": [record.accuracy for record in stage.front],
                "text": [f"trial {r.number}: {drawn(r.arch)}" for r in stage.front],
                # Of two costs together the front is no staircase of either.
                "mode": "lines+markers" if alone else "markers",
                "line": {"shape": "hv", "color": COLOURS[i % 7], "dash": DASHES[i % 4]},
                "marker": {"symbol": SYMBOLS[i % 7], "size": 8},
            }
        )
    if status.result is not None:
        traces += _retrained(status.result, measure)
    beside = _published(published) if measure.name == "macs" else []
    traces += beside
    costs = [one for trace in traces for one in trace["x"]]
    if (most := read_costs(status.run).most(measure)) is not None:
        budget = most / measure.unit
        accuracies = [one for trace in traces for one in trace["y"]]
        costs.append(budget)
        traces.append(
            {
                "name": f"budget, {measure.show(budget)}",
                "x": [budget, budget],
                "y": [min(accuracies), max(accuracies)],
                "mode": "lines",
                "line": {"color": GREY, "dash": "dot", "width": 1},
            }
        )
    for trace in traces:
        trace["type"] = "scatter"
        trace["hovertemplate"] = (
            "%{text}<br>" if "text" in trace else ""
        ) + f"%{{y:.4f}} at %{{x:{measure.digits}}} {measure.short}<extra></extra>"
    look = layout(
        f"Accuracy against {measure.metric.split()[0]}, all stages",
        "Fronts: inherited weights, held-out images."
        + (" Published: ImageNet's validation images." if beside else ""),
        x=measure.axis,
        y="accuracy",
    )
    if measure.name == "macs":
        look["xaxis"]["tickformat"] = "~s"
    ends = [math.log10(one) if beside else one for one in (min(costs), max(costs))]
    margin = 0.04 * (ends[1] - ends[0])
    look["xaxis"]["range"] = [ends[0] - margin, ends[1] + margin]
    if beside:
        look["xaxis"] |= {"type": "log", "dtick": "D2"}
    return {"data": traces, "layout": look}


def _retrained(result: Result, measure: Measure) -> list[Figure]:
    rows: list[tuple[str, Sequence[TrainedNetwork], Figure]] = [
        ("retrained", result.candidates, {"symbol": "diamond-open", "size": 11}),
        ("winner, retrained", [result.winner], {"symbol": "star", "size": 15}),
    ]
    if measure.of(result.all_global) is not None:
        mark: Figure = {"symbol": "x-thin", "size": 9, "line": {"width": 2}}
        rows.append(("all-global", [result.all_global], mark))
    return [
        {
            "name": name,
            "x": [measure.of(network) for network in networks],
            "y": [network.accuracy for network in networks],
            "text": [drawn(network.arch) for network in networks],
            "mode": "markers",
            "marker": {"color": "#000000", **marker},
        }
        for name, networks, marker in rows
    ]


def _published(networks: Iterable[Published]) -> list[Figure]:
    traces: list[Figure] = []
    for i, family in enumerate(BESIDE, 2):
        members = [network for network in networks if network.family == family]
        if members:
            traces.append(
                {
                    "name": f"{family}, published",
                    "x": [network.macs for network in members],
                    "y": [network.top1 / 100 for network in members],
                    "text": [network.name for network in members],
                    "mode": "lines+markers",
                    "line": {"color": COLOURS[i % 7], "width": 1, "dash": DASHES[i % 4]},
                    "marker": {"symbol": SYMBOLS[i], "size": 7},
                }
            )
    return traces


def hypervolume_growth(stage: StageStudy) -> Figure:
    """The hypervolume after every trial, or after some hundred of them."""
    costs = stage.costs
    ends, volumes = growth([costs.point(record) for record in stage.records], *costs.bounds)
    trace = {
        "type": "scatter",
        "x": ends,
        "y": [round(volume, 6) for volume in volumes],
        "mode": "lines",
        "line": {"shape": "hv", "color": COLOURS[2]},
        "hovertemplate": "%{y:.4f} after %{x:,} trials<extra></extra>",
    }
    look = layout(
        f"Hypervolume of stage {stage.number}",
        "The trials dominate this share of accuracy 0 to 1 x "
        + " x ".join(f"{one.short} 0 to budget" for one in measures(costs.objective)),
        x="trials",
        y="hypervolume",
    )
    return {"data": [trace], "layout": look}


def global_groups(stage: StageStudy) -> Figure:
    """The share of global groups, by block and generation."""
    generations: dict[int, list[Arch]] = defaultdict(list)
    for record in stage.records:
        generations[record.generation].append(record.arch)
    ordered = sorted(generations)
    skips = any(SKIP in block.G for block in stage.conditions.space.blocks)
    shares = [global_shares(generations[generation]).mean(0) for generation in ordered]
    trace = {
        "type": "heatmap",
        "x": ordered,
        "y": list(range(1, stage.conditions.space.frame.M + 1)),
        "z": np.transpose(shares).round(3).tolist(),
        "zmin": 0,
        "zmax": 1,
        "xgap": 1 if len(ordered) <= 60 else 0,
        "ygap": 1,
        "colorscale": LOCAL_TO_GLOBAL,
        "colorbar": {"tickformat": ".0%", "outlinewidth": 0},
        "hovertemplate": "block %{y}, generation %{x}: %{z:.0%} global<extra></extra>",
    }
    look = layout(
        f"Global groups of each block, stage {stage.number}",
        "Mean share of a generation, from none (light) to all (dark)"
        + ("; a skipped block has none." if skips else ", the others are local."),
        x=f"generation, of {stage.conditions.population} trials",
        y="block",
    )
    look["yaxis"] |= {"autorange": "reversed", "dtick": 1, "showgrid": False}
    look["xaxis"]["showgrid"] = False
    return {"data": [trace], "layout": look}
