"""Remarks beside an answer: how its networks were trained, what more time might do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.remarks import lesson, more_time, trained, unequal
from hnas.studies.run.result import Result, finished_result
from tests.support import fake_runs


@pytest.fixture
def run(tmp_path: Path, tiny: Plan) -> Run:
    run = begin_run(tmp_path / "run", tiny)
    fake_runs.finish(run, winner=0.8, simple=0.9)
    return run


@pytest.fixture
def result(run: Run) -> Result:
    return finished_result(run)


@pytest.mark.parametrize(
    ("asked", "simple", "said"),
    [
        ({"time": "3m"}, 0.9, True),
        ({"time": "3m"}, None, False),
        ({"time": "3m"}, 0.0, False),  # the winner is better
        ({"flops": "50%"}, 0.9, False),
        (None, 0.9, False),
    ],
)
def test_more_time_is_advised_where_a_simple_model_is_as_good(
    run: Run, result: Result, asked: dict[str, str] | None, simple: float | None, said: bool
) -> None:
    run.tell(replace(run.about, asked=asked))
    [model] = result.baselines
    found = replace(
        result,
        winner=replace(result.winner, inherited=28, epochs=5),
        baselines=() if simple is None else (replace(model, test_accuracy=simple),),
    )
    assert more_time(run, found) == said * (
        "In the time asked for, 3m, the winner was trained for 33 epochs: a longer search, with a "
        "--run of its own, may find a better one."
    )


def test_who_taught_is_said_and_if_it_has_seen_held_out_images(result: Result) -> None:
    [model] = result.baselines
    taught = replace(model, name="small CNN", taught=True)
    both = "In the last training both learned from the small CNN too."
    assert lesson(result) == ""
    assert lesson(replace(result, baselines=(model, taught))) == both
    given = replace(result, baselines=(replace(taught, gave_stem=True),))
    assert lesson(given) == both + (
        " Their stems began with its weights, so its epochs are theirs too."
    )
    unjudged = replace(result, baselines=(replace(taught, accuracy=None),))
    assert lesson(unjudged).startswith(both + " The CNN was trained on the held-out images as well")


def test_other_costs_and_epochs_are_said(result: Result) -> None:
    one = result.winner
    dearer = replace(one, macs=round(one.macs * 1.1), epochs=one.epochs + 1)
    assert unequal(one, one) == ""
    assert unequal(one, dearer) == "The all-global network has 10.0% more MACs than the winner."
    assert unequal(dearer, one).endswith("9.1% fewer MACs than the winner.")
    assert trained(one, one).startswith("Both were trained ")
    assert trained(one, dearer).startswith("The winner was trained ")
