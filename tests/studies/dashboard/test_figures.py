"""Figures: plotly takes them, and they show what was found."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hnas.studies.dashboard.figures import figures, fronts, global_groups, hypervolume_growth
from hnas.studies.findings.published import published
from hnas.studies.plan.change import override
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import load_preset
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.status import Status, read_status
from hnas.studies.trials.pareto import front, hypervolume
from tests.support import fake_runs


@pytest.fixture
def shown(run: Run) -> Status:
    return read_status(run)


def named(figure: dict[str, Any], start: str) -> dict[str, Any]:
    """The one trace whose name begins so."""
    (trace,) = (one for one in figure["data"] if one["name"].startswith(start))
    return trace  # type: ignore[no-any-return]


def test_plotly_takes_them_all(shown: Status) -> None:
    """It refuses a property or a value that plotly.js does not know."""
    plotly = pytest.importorskip("plotly.graph_objects")
    first, second = shown.stages
    made = figures(shown, first, published())
    trainings = {"training-loss", "training-accuracy"}
    assert set(made) == {"fronts", "hypervolume", "global-groups", *trainings}
    for figure in (*made.values(), *figures(shown, second, ()).values()):
        assert plotly.Figure(figure).to_plotly_json()["data"]
    with pytest.raises(ValueError, match="Invalid property"):
        plotly.Figure({"data": [{"type": "scatter", "shape": "hv"}]})


def test_where_groups_are_fixed_they_are_not_drawn(shown: Status) -> None:
    assert "global-groups" not in figures(shown, shown.stages[1], ())


def test_the_fronts_of_all_stages_are_drawn(shown: Status) -> None:
    figure = fronts(shown)
    for stage in shown.stages:
        trace = named(figure, f"front of stage {stage.number}")
        best = front(stage.records)
        assert list(zip(trace["x"], trace["y"], strict=True)) == [
            (record.macs, record.accuracy) for record in best
        ]
        assert trace["text"][0].startswith(f"trial {best[0].number}: ")
    looks = [(t["line"]["dash"], t["marker"]["symbol"]) for t in figure["data"][:2]]
    assert len(set(looks)) == 2


def test_the_answer_and_the_budget_are_drawn(shown: Status) -> None:
    assert shown.result is not None
    figure = fronts(shown)
    assert named(figure, "retrained")["x"] == [one.macs for one in shown.result.candidates]
    assert named(figure, "winner")["y"] == [shown.result.winner.accuracy]
    assert named(figure, "all-global")["x"] == [shown.result.all_global.macs]
    budget = shown.run.plan.budget()
    assert named(figure, "budget")["x"] == [budget, budget]
    low, high = figure["layout"]["xaxis"]["range"]
    assert all(low < macs < high for trace in figure["data"] for macs in trace["x"])


def test_a_search_that_goes_on_has_no_answer(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "begun", tiny)
    fake_runs.search(run, 1, trials=3)
    shown = read_status(run)
    names = [trace["name"] for trace in fronts(shown)["data"]]
    assert names == ["front of stage 1", f"budget, {run.plan.budget():,} MACs"]
    assert figures(shown, shown.stages[1], ()) == {}


def test_published_networks_stand_beside_a_front_on_imagenet(tmp_path: Path) -> None:
    plan = override(load_preset("glit-tiny"), trials=6)
    run = begin_run(tmp_path / "imagenet", plan)
    fake_runs.search(run, 1, trials=6)
    figure = fronts(read_status(run), published())
    for family in ("GLiT", "DeiT", "AutoFormer"):
        trace = named(figure, f"{family}, published")
        members = {one.name: one for one in published() if one.family == family}
        assert set(trace["text"]) == set(members) and len(members) >= 3
        for name, macs, accuracy in zip(trace["text"], trace["x"], trace["y"], strict=True):
            assert (macs, accuracy) == (members[name].macs, members[name].top1 / 100)
    assert figure["layout"]["xaxis"]["type"] == "log"
    low, high = figure["layout"]["xaxis"]["range"]
    assert all(low < math.log10(x) < high for trace in figure["data"] for x in trace["x"])


def test_the_hypervolume_is_that_of_the_trials_so_far(shown: Status) -> None:
    stage = shown.stages[0]
    (trace,) = hypervolume_growth(stage)["data"]
    points = [(record.accuracy, record.macs) for record in stage.records]
    assert trace["x"] == list(range(1, len(points) + 1))
    for trials, volume in zip(trace["x"], trace["y"], strict=True):
        assert volume == pytest.approx(hypervolume(points[:trials], *stage.costs.bounds), abs=1e-6)


def test_the_share_of_global_groups_is_that_of_each_generation(shown: Status) -> None:
    stage = shown.stages[0]
    (trace,) = global_groups(stage)["data"]
    assert len(trace["y"]) == stage.conditions.space.frame.M and len(trace["x"]) > 1
    for block, row in zip(trace["y"], trace["z"], strict=True):
        for generation, share in zip(trace["x"], row, strict=True):
            groups = [
                record.arch.blocks[block - 1].G / stage.conditions.space.frame.N
                for record in stage.records
                if record.generation == generation
            ]
            assert share == pytest.approx(sum(groups) / len(groups), abs=1e-3)


def test_skipped_blocks_are_said_not_to_be_local(tmp_path: Path, tiny: Plan, shown: Status) -> None:
    assert "the others are local" in str(global_groups(shown.stages[0])["layout"])
    run = begin_run(tmp_path / "run", replace(tiny, stage1=replace(tiny.stage1, skip=True)))
    fake_runs.search(run, 1)
    skipping = read_status(run).stages[0]
    assert "a skipped block has none" in str(global_groups(skipping)["layout"])


def test_a_large_search_has_small_figures(shown: Status) -> None:
    """They are read with the study, again and again."""
    stage = shown.stages[0]
    many = [replace(stage.records[i % 12], number=i, generation=i // 50) for i in range(10_000)]
    large = replace(stage, records=tuple(many))
    assert len(str(hypervolume_growth(large))) < 10_000
    assert len(str(global_groups(large))) < 10_000
