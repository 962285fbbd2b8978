"""Comparisons: their runs, their means and paired differences, what is written."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hnas.errors import InputError
from hnas.studies.experiments.compare import (
    Outcome,
    Row,
    as_json,
    mean,
    rows,
    spread,
    tasks,
    write_files,
)
from hnas.studies.plan.change import override
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.tables import STRATEGIES


def an_outcome(seed: int, test: float, minutes: float | None = 1.0) -> Outcome:
    return Outcome(
        seed=seed,
        run=f"run{seed}",
        test=test,
        held_out=0.9,
        score=0.8,
        macs=1_000,
        params=100,
        all_global=0.7,
        hypervolume=0.1,
        trials=20,
        minutes=minutes,
    )


@pytest.fixture
def found(tiny: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Rows of runs that are not there, from their test accuracies by (plan, strategy, seed)."""

    def make(tests: dict[tuple[str, str, int], float], names, strategies, seeds) -> list[Row]:
        def fake(task):
            key = (task.name, task.plan.search.strategy, task.plan.search.seed)
            return an_outcome(key[2], tests[key])

        monkeypatch.setattr("hnas.studies.experiments.compare.outcome", fake)
        return rows(tasks(dict.fromkeys(names, tiny), strategies, seeds, tmp_path))

    return make


def test_every_plan_by_every_strategy_from_every_seed_is_a_run(tiny: Plan, tmp_path: Path) -> None:
    asked = tasks({"a": tiny, "b": tiny}, STRATEGIES, (0, 7), tmp_path)
    assert len({task.folder for task in asked}) == len(asked) == 2 * 4 * 2
    assert asked[0].folder == tmp_path / "a-hierarchical-seed0"
    assert [task.plan.search.seed for task in asked] == [0] * 8 + [7] * 8
    assert asked[-1].words == "b, random, seed 7"
    for task in asked:
        kept = (task.plan.stage1, task.plan.stage2, task.plan.retrain)
        assert kept == (tiny.stage1, tiny.stage2, tiny.retrain)


@pytest.mark.parametrize(
    ("strategies", "seeds", "message"),
    [
        (("flat", "flat"), (0,), "strategies must be distinct, at least one, got ['flat', 'flat']"),
        (("flat",), (1, 1), "seeds must be distinct, at least one, got [1, 1]"),
        (("flat",), (), "seeds must be distinct, at least one, got []"),
        (("falt",), (0,), "strategy 'falt' is unknown; did you mean 'flat'? Known: hierarchical, "),
        (("flat",), (-1,), "seed must be in [0, 2^32), got -1"),
    ],
)
def test_wrong_questions(tiny: Plan, tmp_path: Path, strategies, seeds, message: str) -> None:
    with pytest.raises(InputError) as caught:
        tasks({"a": tiny}, strategies, seeds, tmp_path)
    assert str(caught.value).startswith(message)


def test_differences_are_paired_with_the_plans_first_strategy(found) -> None:
    tests = {
        **{("a", "hierarchical", 0): 0.50, ("a", "hierarchical", 1): 0.75},
        **{("a", "flat", 0): 0.25, ("a", "flat", 1): 0.625},
        **{("b", "hierarchical", 0): 0.0, ("b", "hierarchical", 1): 0.125},
        **{("b", "flat", 0): 0.5, ("b", "flat", 1): 0.125},
    }
    made = found(tests, ("a", "b"), ("hierarchical", "flat"), (0, 1))
    assert [(row.plan, row.strategy) for row in made] == [
        *(("a", "hierarchical"), ("a", "flat"), ("b", "hierarchical"), ("b", "flat"))
    ]
    assert [row.reference for row in made] == [None, "a, hierarchical", None, "b, hierarchical"]
    assert [row.differences for row in made] == [(), (-0.25, -0.125), (), (0.5, 0.0)]


def test_with_one_strategy_plans_are_paired_with_the_first(found) -> None:
    tests = {("a", "flat", 3): 0.5, ("b", "flat", 3): 0.75}
    first, second = found(tests, ("a", "b"), ("flat",), (3,))
    assert (first.reference, second.reference) == (None, "a, flat")
    assert second.differences == (0.25,)


def test_mean_and_spread() -> None:
    assert (mean([1.0, 2.0, 6.0]), spread([1.0, 2.0, 6.0])) == (3.0, pytest.approx(7**0.5))
    assert (mean([5.0]), spread([5.0])) == (5.0, None)
    assert (mean([]), spread([])) == (None, None)


def a_row(**changes: object) -> Row:
    outcomes = (an_outcome(0, 0.5), an_outcome(1, 0.75, minutes=None))
    row = dict(plan="a", strategy="flat", outcomes=outcomes, reference=None, differences=())
    return Row(**{**row, **changes})


def test_a_measure_that_one_run_does_not_know_has_no_mean() -> None:
    (written,) = as_json([a_row()], "hnas compare")["rows"]
    assert a_row().values("minutes") == ()
    assert written["mean"]["minutes"] is written["standard_deviation"]["minutes"] is None
    assert written["mean"]["test"] == 0.625


def test_what_is_written_says_where_and_when_and_draws_every_run(tmp_path: Path) -> None:
    other = a_row(strategy="random", reference="a, flat", differences=(0.25, 0.5))
    table, figure = write_files([a_row(), other], tmp_path / "new", "hnas compare --seeds 0,1")
    written = json.loads(table.read_text())
    assert written["command"] == "hnas compare --seeds 0,1"
    assert {"machine", "cpu", "cores", "python", "versions", "date"} <= set(written)
    assert set(written["versions"]) == {"torch", "numpy", "optuna"}
    assert [one["test"] for one in written["rows"][0]["outcomes"]] == [0.5, 0.75]
    assert written["rows"][1]["difference"]["mean"] == 0.375
    root = ElementTree.fromstring(figure.read_text())
    texts = {node.text for node in root.iter() if node.tag.endswith("text")}
    assert {"flat", "random", "seed 0", "seed 1", "mean", "all-global network"} <= texts
    write_files([a_row(), other], tmp_path / "again", "another command")
    assert (tmp_path / "again" / "compare.svg").read_bytes() == figure.read_bytes()


def test_samplers_cross_with_every_strategy_but_random(tiny: Plan, tmp_path: Path) -> None:
    ways = ("hierarchical", "flat", "random")
    asked = tasks({"a": tiny}, ways, (3,), tmp_path, ("nsga2", "tpe"))
    assert [(task.way, task.plan.search.strategy, task.plan.search.sampler) for task in asked] == [
        ("hierarchical by nsga2", "hierarchical", "nsga2"),
        ("hierarchical by tpe", "hierarchical", "tpe"),
        ("flat by nsga2", "flat", "nsga2"),
        ("flat by tpe", "flat", "tpe"),
        ("random", "random", ""),
    ]
    assert [task.folder.name for task in asked][::2] == [
        "a-hierarchical-nsga2-seed3", "a-flat-nsga2-seed3", "a-random-seed3",
    ]  # fmt: skip
    assert asked[3].words == "a, flat by tpe, seed 3"
    [own] = tasks({"a": override(tiny, sampler="gp")}, ("flat",), (3,), tmp_path)
    assert (own.way, own.plan.search.sampler) == ("flat", "gp")
    with pytest.raises(InputError, match="samplers must be distinct, at least one"):
        tasks({"a": tiny}, ways, (3,), tmp_path, ("tpe", "tpe"))
    with pytest.raises(InputError, match="sampler 'tp' is unknown; did you mean 'tpe'"):
        tasks({"a": tiny}, ways, (3,), tmp_path, ("tp",))


def test_each_sampler_of_a_strategy_is_a_row(
    tiny: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = {"nsga2": 0.5, "tpe": 0.75}
    monkeypatch.setattr(
        "hnas.studies.experiments.compare.outcome",
        lambda task: an_outcome(task.plan.search.seed, tests[task.sampler]),
    )
    made = rows(tasks({"a": tiny}, ("flat",), (0, 1), tmp_path, ("nsga2", "tpe")))
    assert [(row.strategy, row.reference, row.differences) for row in made] == [
        ("flat by nsga2", None, ()),
        ("flat by tpe", "a, flat by nsga2", (0.25, 0.25)),
    ]
