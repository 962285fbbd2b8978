"""Changes of a plan: what is given changes, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from hnas.errors import BudgetError, InputError
from hnas.studies.plan.change import override
from hnas.studies.plan.plan import Search
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
