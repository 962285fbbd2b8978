"""A time sizes a search: its epochs and trials, by what steps of it take."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hnas.data import Survey
from hnas.errors import InputError
from hnas.studies.plan.change import multiplied, override, refined, sized_as
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import load_plan, load_preset
from hnas.studies.request.begin import begin
from hnas.studies.request.decide import decide
from hnas.studies.request.request import Request
from hnas.studies.request.sizing import sizes, within_time
from hnas.studies.search.estimate import Estimate, Timed, amounts

DIGITS = load_preset("digits")
SUPERNET = replace(DIGITS, retrain=replace(DIGITS.retrain, start="supernet"))
PLANS = [DIGITS, refined(DIGITS), override(DIGITS, strategy="random"), SUPERNET]


def estimated(plan: Plan, *each: float) -> list[Estimate]:
    """Steps that take so many seconds each."""
    have = amounts(plan)
    rate = [each[i % len(each)] for i in range(len(have))]
    return [
        Estimate(what="", work="", one=Timed.of([one]), amount=n, memory=0)
        for one, n in zip(rate, have, strict=True)
    ]


@given(st.sampled_from(PLANS), st.floats(0.01, 2), st.floats(0.01, 2), st.floats(120, 36_000))
def test_a_search_takes_the_time_that_it_is_given(
    plan: Plan, epoch: float, trial: float, seconds: float
) -> None:
    """By the estimate, within 20%, or it is told that it cannot."""
    steps = estimated(plan, epoch, trial)
    least = sum(one.each * n for one, n in zip(steps, amounts(multiplied(plan, 0)), strict=True))
    if least > seconds:
        with pytest.raises(InputError, match=f"takes about {least:,.0f} seconds here"):
            within_time(plan, seconds, steps)
        return
    sized = within_time(plan, seconds, steps)
    takes = sum(one.each * n for one, n in zip(steps, amounts(sized), strict=True))
    assert takes <= seconds
    assert takes >= 0.8 * seconds or takes >= 0.8 * least  # an epoch is the least there is
    same = sized_as(sized, plan)
    assert same == plan


def test_every_step_keeps_its_share() -> None:
    steps = estimated(DIGITS, 0.5, 0.1)
    whole = sum(step.seconds for step in steps)
    assert within_time(DIGITS, (1 + 1e-9) * whole, steps) == DIGITS
    half = within_time(DIGITS, 0.5 * whole, steps)
    assert sizes(DIGITS, half) == (
        "stage1.trials 200 -> 100, stage1.training.epochs 60 -> 30, stage2.trials 200 -> 100, "
        "stage2.training.epochs 40 -> 20, retrain.training.epochs 16 -> 8"
    )


def test_what_is_trained_together_takes_its_share() -> None:
    steps = [
        *estimated(DIGITS, 0.5, 0.1)[:-1],
        replace(estimated(DIGITS, 0.5)[-1], share=0.5),
    ]
    whole = sum(step.seconds for step in steps)
    assert within_time(DIGITS, (1 + 1e-9) * whole, steps) == DIGITS


def test_no_more_trials_than_there_are_distributions() -> None:
    more = multiplied(DIGITS, 100)
    assert (more.stage1.trials, more.stage2.trials) == (4**6, 20_000)
    least = multiplied(DIGITS, 0)
    assert (least.stage1.trials, least.stage1.training.epochs) == (20, 1)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """A folder in which an estimate takes no time; the plans that were estimated."""
    seen: list[Plan] = []

    def estimate(plan: Plan, survey: Survey, device: torch.device) -> list[Estimate]:
        seen.append(plan)
        return estimated(plan, 0.5, 0.1)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("hnas.studies.search.estimate.estimate", estimate)
    return seen


@pytest.mark.parametrize(
    "asked", [{}, {"preset": "fashion-mnist", "data": "digits"}, {"flops": "40%"}, {"refine": True}]
)
def test_a_run_keeps_the_sizes_that_it_began_with(here: list[Plan], asked: dict[str, Any]) -> None:
    request = Request(time="2m", device="cpu", **asked)
    decision = decide(request)
    trials = load_preset(asked.get("preset", "digits")).stage1.trials
    assert decision.note.splitlines()[-1].startswith(f"time='2m': stage1.trials {trials} -> ")
    run = begin(decision)
    assert run.about.asked is not None and run.about.asked["time"] == "2m"
    assert load_plan(run.folder / "plan.toml") == decision.plan
    assert decide(request).plan == decision.plan and len(here) == 1
    assert decide(Request(run=run.folder)).plan == decision.plan
    with pytest.raises(InputError, match=r"^time='3m' sizes a search that begins, and the run "):
        decide(replace(request, time="3m"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"time": "soon"}, 'time must be a time with its unit, s, m, h or d, such as "20m" or "1h'),
        ({"time": "2"}, "time must be a time with its unit"),
        ({"time": "2m", "epochs": 3}, "time chooses epochs and trials: leave epochs out, or time"),
        ({"time": "2m", "trials": 3}, "time chooses epochs and trials: leave trials out, or time"),
        ({"time": "3s"}, "the shortest search of this plan takes about "),
    ],
)
def test_what_cannot_be_timed_is_told(
    here: list[Plan], asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=f"^{message}"):
        decide(Request(**asked))


@pytest.mark.slow
def test_a_real_search_takes_about_the_time_that_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a machine with nothing else to do."""
    import time

    import hnas

    monkeypatch.chdir(tmp_path)
    began = time.perf_counter()
    hnas.search(preset="digits", time="3m", device="cpu")
    assert 0.8 * 180 <= time.perf_counter() - began <= 1.2 * 180
