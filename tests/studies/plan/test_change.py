"""Changes of a plan: what is given changes, and nothing else."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnas.errors import BudgetError, InputError
from hnas.persist.difference import differences
from hnas.studies.plan.change import (
    check_code,
    dealt_trials,
    multiplied,
    override,
    refined,
    with_values,
)
from hnas.studies.plan.tables import Refine, Search
from hnas.studies.plan.toml import from_toml
from tests.support.plans import MINIMAL


def test_override_changes_what_is_given_and_nothing_else() -> None:
    plan = from_toml(MINIMAL)
    assert override(plan) == plan
    changed = override(plan, data="x", flops="1.2M", seed=7, trials=9, epochs=5)
    assert changed.data.source == "x"
    assert changed.search == Search(flops=1_200_000, seed=7)
    assert changed.stage1.trials == changed.stage2.trials == 9
    trainings = (changed.stage1.training, changed.stage2.training, changed.retrain.training)
    assert [training.epochs for training in trainings] == [5, 5, 5]
    assert changed.stage2.K == plan.stage2.K
    assert override(plan, seed=0, flops=1_200_000).search == Search(flops=1_200_000, seed=0)


def test_every_option_reaches_its_key(tmp_path: Path) -> None:
    plan = from_toml(MINIMAL)
    assert override(plan, skip_bad_images=True).data.skip_bad_images
    assert not override(plan, skip_bad_images=False).data.skip_bad_images
    fast = override(plan, compile=True)
    assert fast.stage1.training.compile and fast.stage2.training.compile
    assert fast.retrain.training.compile and not plan.stage1.training.compile
    assert override(plan, compile=False) == plan
    lower = override(plan, precision="bf16")
    assert {t.precision for t in (lower.stage1.training, lower.stage2.training)} == {"bf16"}
    assert lower.retrain.training.precision == "bf16" and override(plan, precision=None) == plan
    file = str(tmp_path / "vit.safetensors")
    assert override(plan, pretrained=file).pretrained.file == file
    assert override(plan, init_from=file).stage1.init_from == file
    again = replace(plan, retrain=replace(plan.retrain, refit=True, refit_epochs=9))
    assert override(again, epochs=5).retrain.refit_epochs == 5
    assert override(again, seed=1).retrain.refit_epochs == 9
    third = refined(plan)
    assert override(third, trials=6, epochs=4).refine == Refine(trials=6, epochs=4)
    assert override(third, trials=6).refine == Refine(trials=6, epochs=third.refine.epochs)


def test_a_third_stage_takes_half_of_the_second() -> None:
    plan = from_toml(MINIMAL)
    second = replace(plan.stage2, trials=7, training=replace(plan.stage2.training, epochs=5))
    third = refined(replace(plan, stage2=second))
    assert (third.stage2.trials, third.stage2.training.epochs) == (4, 3)
    assert third.refine == Refine(trials=3, epochs=2)
    assert refined(third) == third


@given(st.lists(st.integers(1, 500), min_size=3, max_size=3), st.integers(3, 2000))
def test_trials_are_dealt_to_the_stages_in_their_proportions(have: list[int], trials: int) -> None:
    plan = from_toml(MINIMAL)
    s1, s2, refine = (
        replace(table, trials=n)
        for table, n in zip(
            (plan.stage1, plan.stage2, Refine(trials=1, epochs=1)), have, strict=True
        )
    )
    plan = replace(plan, stage1=s1, stage2=s2, refine=refine)
    dealt = dealt_trials(plan, trials)
    found = [dealt.stage1.trials, dealt.stage2.trials, dealt.refine.trials]
    assert sum(found) == trials and min(found) >= 1
    shares = [trials * n / sum(have) for n in have]
    assert all(abs(n - share) < 2 for n, share in zip(found, shares, strict=True))
    assert dealt_trials(plan, sum(have)) == plan


@pytest.mark.parametrize(("factor", "epochs", "trials"), [(3, (3, 6, 9), 12), (0.1, (1, 1, 1), 2)])
def test_a_plan_is_multiplied(factor: float, epochs: tuple[int, ...], trials: int) -> None:
    """At least an epoch and a generation; a refit that there is not does not begin."""
    found = multiplied(from_toml(MINIMAL), factor)
    trainings = (found.stage1.training, found.stage2.training, found.retrain.training)
    assert tuple(training.epochs for training in trainings) == epochs
    assert (found.stage1.trials, found.stage2.trials) == (trials, trials)
    assert found.retrain.refit_epochs == found.refine.trials == 0


def test_stage_1_has_no_more_trials_than_there_are_distributions() -> None:
    plan = from_toml(MINIMAL)
    assert multiplied(plan, 10).stage1.trials == plan.space1().distinct == 16
    assert multiplied(override(plan, strategy="flat"), 10).stage1.trials == 40


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"trials": 0}, "trials must be >= 1, got 0"),
        ({"epochs": 0}, "epochs must be >= 1, got 0"),
        ({"seed": -1}, "seed must be in [0, 2^32), got -1"),
        ({"data": ""}, "source must be a name or a path, got ''"),
    ],
)
def test_an_override_keeps_to_the_rules(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as caught:
        override(from_toml(MINIMAL), **values)
    assert str(caught.value) == message


def test_an_override_below_the_smallest_network_is_told() -> None:
    with pytest.raises(BudgetError, match=r"^stage1: no architecture of the space fits flops 10 "):
        override(from_toml(MINIMAL), flops=10)


CODED = [
    "data.source",
    "score.metric",
    "search.sampler",
    "stage1.sampler",
    "stage2.sampler",
    "retrain.distillation.teacher",
]


@pytest.mark.parametrize("key", CODED)
def test_code_that_a_plan_names_is_told_wherever_it_stands(key: str) -> None:
    plan = with_values(from_toml(MINIMAL), {key: "mine:own"})
    with pytest.raises(InputError, match=rf"names code to run: {key} = 'mine:own'\."):
        check_code(plan, "a plan", allow="--allow-code")


def test_every_key_that_takes_code_is_looked_at() -> None:
    """A key whose other words are refused, but not `module:function`."""
    plan, found = from_toml(MINIMAL), []
    for key, (value, _) in differences(asdict(plan), {}).items():
        if not isinstance(value, str):
            continue
        with suppress(InputError):
            with_values(plan, {key: "mine:own"})
            found.append(key)
    paths = ["pretrained.file", "stage1.init_from"]
    assert sorted(found) == sorted([*CODED, *paths])
