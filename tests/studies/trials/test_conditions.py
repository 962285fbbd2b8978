"""Conditions and marks of studies, attributes of trials: each is read as it was written."""

from __future__ import annotations

import json
from dataclasses import replace

import optuna
import pytest
from hypothesis import given

import hnas.studies.trials.conditions
from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.errors import MismatchError, StateError
from hnas.persist.record import as_json
from hnas.scoring.record import Score
from hnas.studies.objective.costs import Costs, Spent
from hnas.studies.plan.plan import Plan
from hnas.studies.trials.conditions import (
    Conditions,
    asked_of,
    conditions_of,
    keep_conditions,
    read_conditions,
    scorer_of,
)
from hnas.studies.trials.marks import HandedArch, HandedFront, Marks, marks_of, write_marks
from hnas.studies.trials.record import arch_of, cost_attributes, score_attributes, spent_of
from hnas.studies.trials.study import quiet
from tests.support.fake_latency import fake_table
from tests.support.generators import spaces_and_archs


def conditions(space: Space, *start: Arch) -> Conditions:
    return Conditions(
        space=space,
        scorer={"supernet": "00", "held-out": "11"},
        budget=10**9,
        objective="both",
        latency_bound=None,
        latency_table="22",
        seed=3,
        population=5,
        proposer="nsga2",
        start=start,
    )


@given(spaces_and_archs())
def test_conditions_come_back_from_their_attributes(drawn: tuple[Space, Arch]) -> None:
    space, arch = drawn
    for asked in (conditions(space), conditions(space, arch)):
        attrs = as_json(asked)
        assert attrs == json.loads(json.dumps(attrs))
        assert ("start" in attrs) is bool(asked.start)
        assert read_conditions("s", {**attrs, "handoff": {}, "workers": 1}) == asked
    del attrs["population"]
    with pytest.raises(StateError, match="'s' does not say what it searches: Conditions lacks"):
        read_conditions("s", attrs)


@given(spaces_and_archs())
def test_a_study_keeps_conditions_and_marks(drawn: tuple[Space, Arch]) -> None:
    space, arch = drawn
    with quiet():
        study = optuna.create_study(study_name="s")
    asked = conditions(space, arch)
    keep_conditions(study, asked, new=True)
    keep_conditions(study, asked, new=False)
    assert conditions_of(study) == asked
    for name, value in (("convention", "glit"), ("params_bound", 7)):  # fields that came later
        other = replace(asked, **{name: value})
        with pytest.raises(MismatchError, match=f"{name}: stored None, asked {value!r}"):
            keep_conditions(study, other, new=False)
        with quiet():
            its = optuna.create_study(study_name="other")
        keep_conditions(its, other, new=True)
        assert conditions_of(its) == other
        with pytest.raises(MismatchError, match=f"{name}: stored {value!r}, asked None"):
            keep_conditions(its, asked, new=False)
    assert asked_of(study) == (scorer_of(study), "both") == (asked.scorer, "both")

    assert marks_of(study) == Marks()
    to = HandedArch(rule="score", trial=4, arch=arch, to="s2")
    retrained = HandedArch(rule="retrained", trial=4, arch=arch, retrained={"4": 0.5}, giver="s0")
    for mark in (to, retrained):
        write_marks(study, Marks(handoff=mark))
        assert marks_of(study) == Marks(handoff=mark)
    assert list(study.user_attrs["handoff"]) == ["rule", "trial", "arch", "retrained", "from"]
    front = HandedFront(archs=(arch,), to="s2")
    write_marks(study, Marks(front=front))
    assert study.user_attrs["front"] == {"archs": (arch.to_dict(),), "to": "s2"}
    write_marks(study, Marks(exhausted=True))
    assert study.user_attrs["exhausted"] is True
    assert marks_of(study) == Marks(handoff=retrained, front=front, exhausted=True)


def test_what_was_minimised_and_allowed_is_in_the_conditions(tiny: Plan) -> None:
    space = tiny.space1()
    bounds = {"latency_bound": 5 * 10**6, "params_bound": 7, "convention": "glit"}
    expected = Costs(
        frame=space.frame, objective="both", flops=10**9, convention="glit", params=7,
        latency=5 * 10**6, table=fake_table(space),
    )  # fmt: skip
    found = replace(conditions(space), **bounds).costs(expected.table)
    assert vars(found) == vars(expected)


def test_a_queue_of_other_conditions_is_emptied_and_no_other(
    monkeypatch: pytest.MonkeyPatch, tiny: Plan
) -> None:
    emptied: list[optuna.Study] = []
    monkeypatch.setattr(hnas.studies.trials.conditions, "withdraw", emptied.append)
    with quiet():
        study = optuna.create_study(study_name="s")
    asked = conditions(tiny.space1())
    for _ in range(2):
        keep_conditions(study, asked, new=True)
        assert emptied == []
    keep_conditions(study, replace(asked, seed=4), new=True)
    assert emptied == [study] and conditions_of(study).seed == 4


@given(spaces_and_archs())
def test_attributes_of_a_trial(drawn: tuple[Space, Arch]) -> None:
    _, arch = drawn
    for spent in (Spent(macs=1, params=2, latency=None), Spent(macs=1, params=2, latency=3)):
        attrs = json.loads(json.dumps(cost_attributes(arch, spent)))
        assert (arch_of(attrs), spent_of(attrs)) == (arch, spent)
        assert ("latency_ns" in attrs) is (spent.latency is not None)
    score = Score(accuracy=0.5, loss=1.5, images=8, seconds=0.25)
    assert score_attributes(score) == {"loss": 1.5, "seconds": 0.25}
    more = {"right": "c$^", "standard_error": 0.0}
    told = replace(score, right="c$^", error=0.0)
    assert score_attributes(told) == {"loss": 1.5, "seconds": 0.25, **more}
