"""What a report gathers: the answer with its intervals, and what is missing where some is."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest

from hnas.errors import StateError
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import from_toml, load_preset, to_toml
from hnas.studies.report.as_json import as_json
from hnas.studies.report.gather import Report, answer, gather
from hnas.studies.report.trust import _tau
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.interval import Interval
from hnas.studies.run.ranking import read_ranking
from hnas.studies.run.result import read_result
from tests.support import fake_runs


def test_the_answer_has_its_intervals(report: Report) -> None:
    found = report.answer
    assert found is not None and found.test_images == fake_runs.IMAGES
    ours, plain, difference = (
        found.winner_accuracy,
        found.all_global_accuracy,
        found.difference,
    )
    # Wilson (1927) for 180 and 160 of 200; Newcombe (1998), method 10, from them.
    assert (ours.value, plain.value) == (0.9, 0.8)
    assert ours.low == pytest.approx(0.8506, abs=1e-4)
    assert ours.high == pytest.approx(0.9343, abs=1e-4)
    assert plain.low == pytest.approx(0.7392, abs=1e-4)
    assert plain.high == pytest.approx(0.8496, abs=1e-4)
    assert difference.value == pytest.approx(0.1)
    low = 0.1 - ((0.9 - ours.low) ** 2 + (plain.high - 0.8) ** 2) ** 0.5
    high = 0.1 + ((ours.high - 0.9) ** 2 + (0.8 - plain.low) ** 2) ** 0.5
    assert (difference.low, difference.high) == (pytest.approx(low), pytest.approx(high))
    assert difference.low > 0


@pytest.mark.parametrize("accuracies", [(1.0, 1.0), (1.0, 0.0), (0.5, 0.5), (0.1, 0.9)])
def test_intervals_hold_their_values_at_the_ends(
    report: Report, accuracies: tuple[float, float]
) -> None:
    result = report.status.result
    assert result is not None

    networks = {"winner": result.winner, "all_global": result.all_global}
    measured = {
        name: dataclasses.replace(network, test_accuracy=accuracy)
        for (name, network), accuracy in zip(networks.items(), accuracies, strict=True)
    }
    found = answer(dataclasses.replace(result, **measured))
    for interval in (found.winner_accuracy, found.all_global_accuracy, found.difference):
        assert interval.low - 1e-9 <= interval.value <= interval.high + 1e-9
        assert interval.low >= -1 and interval.high <= 1


def test_the_winner_is_drawn_and_its_cost_adds_up(report: Report) -> None:
    assert report.picture is not None and report.answer is not None
    assert report.picture.arch == report.answer.winner.arch
    assert sum(report.picture.macs) == report.answer.winner.macs


def test_a_finished_run_lacks_nothing(report: Report) -> None:
    assert report.missing == ()


def test_costs_are_counted_from_trials_and_checkpoints(report: Report) -> None:
    steps = {cost.step: cost for cost in report.costs}
    assert list(steps) == [
        *("supernet of stage1", "trials of stage1", "supernet of stage2", "trials of stage2"),
        "0 networks alone",
    ]
    assert (steps["trials of stage1"].scored, steps["trials of stage1"].images) == (25, 25 * 40)
    assert steps["supernet of stage1"].trained == 3 * 100


@pytest.mark.parametrize("refit", [False, True])
def test_a_teacher_and_held_out_images_are_counted_too(
    tmp_path: Path, tiny: Plan, refit: bool
) -> None:
    run = begin_run(tmp_path / "run", replace(tiny, retrain=replace(tiny.retrain, refit=refit)))
    fake_runs.finish(run)
    assert "the teacher" not in {cost.step for cost in fake_runs.report(run).costs}
    run.write(f"checkpoints/{run.teacher.name}.json", {"versions": [{"meta": {"epoch": 7}}]})
    for key, too in (("0" * 12, False), ("1" * 12, True)):
        identity = fake_runs.alone(run.plan, held_out_too=too)
        meta = {"epoch": 2, "identity": identity.to_dict()}
        run.write(f"networks/{key}.json", {"versions": [{"meta": meta}]})
    costs = {cost.step: cost.trained for cost in fake_runs.report(run).costs}
    assert costs["the teacher"] == 7 * (100 + 40 * refit)
    assert costs["2 networks alone"] == 2 * 100 + 2 * (100 + 40)


def test_the_time_of_measuring_latencies_is_a_cost(tmp_path: Path, tiny: Plan) -> None:
    run = begin_run(tmp_path / "run", tiny)
    fake_runs.finish(run)
    run.write("times.json", {"seconds": {"latency table": 61.0}})
    first = fake_runs.report(run).costs[0]
    assert (first.step, first.seconds) == ("latency table", 61.0)


def test_a_plan_that_can_be_used_again(report: Report, finished_run: Run) -> None:
    assert from_toml(report.toml) == finished_run.plan
    assert report.commands[0] == "hnas search --plan plan.toml --run runs/finished"


def test_nothing_says_where_the_run_lies_but_the_folder_that_was_given(report: Report) -> None:
    assert report.environment["storage"] == "study.db in the run"


def test_reading_does_not_touch_the_run(finished_run: Run) -> None:
    def contents() -> dict[Path, bytes]:
        paths = (path for path in finished_run.folder.rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in paths}

    was = contents()
    fake_runs.report(finished_run)
    assert contents() == was


def test_a_search_that_has_begun(begun: Report) -> None:
    assert begun.answer is None
    assert begun.picture is not None
    assert begun.picture.title.startswith("The best so far, trial ")
    assert [searched.stage for searched in begun.studies] == ["stage1"]
    assert "Stage 1 has 6 of 12 trials." in begun.missing
    assert "Stage 2 has 0 of 11 trials." in begun.missing
    assert begun.missing[-1] == f"To resume: hnas search --run {begun.folder}"
    assert begun.costs == ()  # the images are not split yet


def test_a_run_that_has_only_a_plan(tmp_path: Path, tiny: Plan) -> None:
    found = gather(begin_run(tmp_path / "run", tiny))
    assert (found.answer, found.picture, found.studies, found.findings) == (None, None, (), ())


def test_published_networks_stand_beside_imagenet_alone(tmp_path: Path, report: Report) -> None:
    assert report.published == ()
    run = begin_run(tmp_path / "imagenet", load_preset("glit-tiny"))
    assert len(gather(run).published) == 16


def ranking(folder: Path, value: object) -> None:
    (folder / "ranking-stage1.json").write_text(json.dumps(value))


NOTHING = {"value": None, "low": None, "high": None}
TAU = {"value": 0.5, "low": 0.1, "high": 0.8}
AGREEMENT = {
    **{"architectures": 2, "seeds": 2, "regret": None},
    **dict.fromkeys(("tau", "spearman", "pearson", "tau_top"), TAU),
    **dict.fromkeys(("tau_others", "reference", "difference")),
}
ARCH = {"blocks": [{"G": 3, "L": 0, "d_k": 48, "d_z": 4}]}
RANKED = {"arch": ARCH, "macs": 9, "elite": False, "networks": ["a", "b"]}
RANKING = {
    "stage": 1,
    "epochs": 7,
    "images": 40,
    "ranked": [
        {**RANKED, "score": 0.5, "accuracies": [0.6, 0.8]},
        {**RANKED, "score": 0.4, "accuracies": [0.5, 0.5]},
    ],
    "agreement": AGREEMENT,
    "environment": {"device": "cpu"},
}
"""A file of `hnas rank`."""


def test_a_ranking_is_read_where_there_is_one(begun_run: Run) -> None:
    assert read_ranking(begun_run, 1) is None
    ranking(begun_run.folder, RANKING)
    (found,) = gather(begun_run).rankings
    assert (found.stage, found.agreement.seeds, found.epochs) == (1, 2, 7)
    assert found.agreement.tau == Interval(value=0.5, low=0.1, high=0.8)
    assert [one.accuracy for one in found.ranked] == [pytest.approx(0.7), 0.5]


def test_a_ranking_that_cannot_be_told(begun_run: Run) -> None:
    ranking(begun_run.folder, {**RANKING, "agreement": {**AGREEMENT, "tau": NOTHING}})
    found = read_ranking(begun_run, 1)
    assert found is not None and math.isnan(found.agreement.tau.value)
    assert "cannot be ranked" in _tau(found)
    (told,) = json.loads(as_json(gather(begun_run)))["rankings"]
    assert (told["tau"], told["networks"], told["points"]) == (None, 2, [[0.5, 0.7], [0.4, 0.5]])


@pytest.mark.parametrize(
    "value",
    [[], {}, {**RANKING, "agreement": {**AGREEMENT, "tau": None}}, {**RANKING, "agreement": []}],
)
def test_a_damaged_ranking_is_told(begun_run: Run, value: object) -> None:
    ranking(begun_run.folder, value)
    with pytest.raises(StateError, match=r"ranking-stage1.json is not a ranking: .*hnas rank"):
        gather(begun_run)


def test_a_damaged_split_is_told(begun_run: Run) -> None:
    (begun_run.folder / "split.json").write_text("[]")
    with pytest.raises(StateError, match=r"split.json is no split of images"):
        gather(begun_run)


def test_the_fake_result_is_one(tmp_path: Path, tiny: Plan) -> None:
    """As `hnas status` reads it."""
    run = begin_run(tmp_path / "run", from_toml(to_toml(tiny)))
    fake_runs.finish(run, winner=0.5, all_global=0.25)
    result = read_result(run)
    assert result is not None and result.winner.test_accuracy == 0.5
