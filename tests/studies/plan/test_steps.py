"""The steps of a search that take time, in their order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hnas.studies.plan.change import override, with_values
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.steps import REFIT, Alone, OfStage, OwnTeacher, steps_of


def alone(plan: Plan) -> list[Alone]:
    return [one for one in steps_of(plan) if isinstance(one, Alone)]


def names(plan: Plan) -> list[str]:
    def name(one: OfStage | OwnTeacher | Alone) -> str:
        if isinstance(one, OfStage):
            return f"{'trials' if one.scores else 'supernet'} {one.number}"
        return one.what if isinstance(one, Alone) else "cnn"

    return [name(one) for one in steps_of(plan)]


def test_what_is_trained_alone(tiny: Plan) -> None:
    rules = tiny.retrain
    (only,) = alone(tiny)
    assert (only.what, only.rules, only.networks) == ("retraining", rules, rules.top + 1)
    assert only.together == rules.top  # the all-global network follows by itself
    inherits = replace(tiny, retrain=replace(rules, start="supernet"))
    assert [(one.what, one.networks) for one in alone(inherits)] == [
        *(("retraining", rules.top), ("all-global network", 1))
    ]
    for epochs in (0, 7):  # 0: as many as before
        again = replace(rules, refit=True, refit_epochs=epochs)
        *_, last = alone(replace(tiny, retrain=again))
        assert (last.what, last.networks, last.held_out_too) == (REFIT, 2, True)
        assert last.rules.training == replace(
            rules.training, epochs=epochs or rules.training.epochs
        )
        assert last.amount == 2 * last.rules.training.epochs


@pytest.mark.parametrize(
    ("refit", "expected"),
    [
        (False, "supernet 1, trials 1, cnn, hand-off, supernet 2, trials 2, retraining"),
        (
            True,
            "supernet 1, trials 1, hand-off, supernet 2, trials 2, cnn, retraining, "
            "on held-out images too",
        ),
    ],
)
def test_a_cnn_is_trained_before_the_first_that_may_learn_from_it(
    tiny: Plan, refit: bool, expected: str
) -> None:
    values = {"handoff.rule": "retrained", "retrain.distillation.teacher": "cnn"}
    plan = with_values(tiny, {**values, "retrain.refit": refit})
    assert names(plan) == expected.split(", ")
    assert [one.taught for one in alone(plan)] == [not refit, not refit, True][: 2 + refit]


def test_a_search_of_one_stage_hands_nothing_over(tiny: Plan) -> None:
    plan = with_values(tiny, {"handoff.rule": "retrained"})
    assert names(override(plan, strategy="flat")) == ["supernet 1", "trials 1", "retraining"]


def test_no_more_are_handed_over_than_there_are_trials(tiny: Plan) -> None:
    plan = with_values(tiny, {"handoff.rule": "retrained", "handoff.top": 50})
    handed = alone(plan)[0]
    assert handed.networks == handed.together == plan.stage1.trials
