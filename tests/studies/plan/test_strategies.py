"""The strategies: what each searches, and for how long."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from hnas.errors import InputError
from hnas.studies.plan.change import override, refined
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.strategies import of_a_cnn, stages
from hnas.studies.plan.tables import STRATEGIES
from hnas.studies.plan.toml import from_toml, to_toml

BASELINES = STRATEGIES[1:]


def test_a_search_of_one_stage_has_the_epochs_and_trials_of_two(tiny: Plan) -> None:
    both = stages(tiny)
    assert [stage.name for stage in both] == ["stage1", "stage2"]
    for strategy in BASELINES:
        (alone,) = stages(override(tiny, strategy=strategy))
        assert alone.name == strategy
        assert alone.trials == sum(stage.trials for stage in both) == 23
        assert alone.training.epochs == sum(stage.training.epochs for stage in both) == 5
        assert asdict(alone.training) == {**asdict(both[0].training), "epochs": 5}


def test_what_a_strategy_searches(tiny: Plan) -> None:
    spaces = {s: stages(override(tiny, strategy=s))[0].space(None) for s in STRATEGIES}
    assert spaces["hierarchical"] == spaces["high-level"] == tiny.space1()
    assert spaces["flat"] == spaces["random"] == tiny.space2(None)


def test_a_stage_says_how_it_chooses(tiny: Plan) -> None:
    def about(strategy: str, sampler: str = "") -> str:
        return stages(override(tiny, strategy=strategy, sampler=sampler or None))[0].about

    assert about("flat").endswith("all at once, by SPOS's evolution.")
    assert about("flat", "tpe").endswith("all at once, by tpe.")
    assert about("random").endswith("all at once, by chance.")
    assert about("high-level") == about("hierarchical")


def test_a_first_stage_may_start_from_a_network(tiny: Plan) -> None:
    asked = replace(tiny, stage1=replace(tiny.stage1, init_from="vit"))
    assert [stage.init_from for stage in stages(asked)] == ["vit", ""]


def test_a_stage_proposes_by_its_sampler_or_its_own_way(tiny: Plan) -> None:
    for asked in (None, "tpe"):
        found = [
            stages(override(tiny, strategy=strategy, sampler=asked))[0].proposer.name
            for strategy in ("hierarchical", "flat")
        ]
        assert found == [asked or "nsga2", asked or "spos"]


def test_an_unknown_strategy_is_told_with_a_suggestion(tiny: Plan) -> None:
    with pytest.raises(InputError) as caught:
        from_toml(to_toml(tiny).replace('"hierarchical"', '"heirarchical"'))
    assert str(caught.value) == (
        "search.strategy 'heirarchical' is unknown; did you mean 'hierarchical'? "
        "Known: hierarchical, high-level, flat, random"
    )


def test_a_plan_from_before_there_were_strategies_is_hierarchical(tiny: Plan) -> None:
    text = to_toml(tiny)
    assert 'strategy = "hierarchical"\n' in text
    assert from_toml(text.replace('strategy = "hierarchical"\n', "")) == tiny


def test_a_third_stage_takes_half_of_the_second(tiny: Plan) -> None:
    first, second, third = stages(refined(tiny))
    assert (second.trials, third.trials) == (6, 5)
    assert (second.training.epochs, third.training.epochs) == (1, 1)
    assert sum(stage.trials for stage in (first, second, third)) == 23
    assert third.name == "stage3" and third.space(None) == tiny.space2(None)
    assert asdict(third.training) == asdict(second.training)
    assert third.population == second.population
    assert refined(refined(tiny)) == refined(tiny)


@pytest.mark.parametrize("strategy", BASELINES)
def test_a_search_of_one_stage_has_what_three_have(tiny: Plan, strategy: str) -> None:
    flat, other = (stages(override(plan, strategy=strategy)) for plan in (tiny, refined(tiny)))
    assert [(s.trials, s.training) for s in flat] == [(s.trials, s.training) for s in other]


def test_what_cannot_be_refined_is_told(tiny: Plan) -> None:
    with pytest.raises(InputError, match="needs the strategy 'hierarchical', got 'flat'"):
        refined(override(tiny, strategy="flat"))
    with pytest.raises(InputError, match=r"must both be >= 2, got 11 and 1$"):
        refined(override(tiny, epochs=1))


@pytest.mark.parametrize("start", ["supernet", "scratch"])
def test_a_cnn_is_trained_as_long_as_the_winner(tiny: Plan, start: str) -> None:
    training = replace(tiny.retrain.training, epochs=4, ema=0.9, keep="best", patience=2)
    retrain = replace(tiny.retrain, start=start, training=training, refit=True, refit_epochs=7)
    course = of_a_cnn(replace(tiny, retrain=retrain))
    rules, supernets = course.training, sum(stage.training.epochs for stage in stages(tiny))
    alone = 4 + (supernets if start == "supernet" else 0)
    assert rules.epochs == alone + 7 and course.held_out_too
    assert (rules.ema, rules.keep, rules.patience) == (0, "last", 0)
    only, both = (
        of_a_cnn(replace(tiny, retrain=replace(retrain, **change)))
        for change in ({"refit": False, "refit_epochs": 0}, {"refit_epochs": 0})
    )
    assert only.training.epochs == alone and not only.held_out_too
    assert both.training.epochs == alone + 4
