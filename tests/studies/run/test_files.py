"""The files of a run: each is read as the record that was written."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from hnas.baselines.record import Baseline
from hnas.errors import InputError, StateError
from hnas.settings import AugmentRules, DistillationRules, TrainingRules
from hnas.studies.plan.plan import Plan
from hnas.studies.run.about import About
from hnas.studies.run.confusion import Confusion
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.networks import Identity, identity_of
from hnas.studies.run.result import (
    Inputs,
    Result,
    TrainedNetwork,
    best_trained,
    finished_result,
    has_result,
    read_result,
    write_result,
)
from hnas.studies.run.spent import TimeSpent, add_spent, read_spent
from hnas.studies.run.split import read_sizes


@pytest.fixture
def run(tmp_path: Path, tiny: Plan) -> Run:
    return begin_run(tmp_path / "run", tiny)


@pytest.fixture
def result(tiny: Plan) -> Result:
    network = TrainedNetwork(
        key="0123456789ab",
        frame=tiny.net,
        arch=tiny.net.all_global(),
        macs=10,
        params=20,
        accuracy=0.1,
        loss=2.3,
        epochs=1,
    )
    tested = replace(network, latency_ns=7, test_accuracy=0.1)
    return Result(
        test_images=30,
        environment={"device": "cpu"},
        candidates=(replace(network, score=1 / 3),),
        winner=tested,
        all_global=replace(tested, latency_ns=None),
        inputs=Inputs(image=8, channels=1, classes=tuple("0123456789"), mean=(1 / 3,), std=(0.1,)),
    )


def test_the_result(run: Run, result: Result) -> None:
    assert read_result(run) is None and not has_result(run.folder)
    with pytest.raises(StateError, match=r"no result yet. Finish it: hnas search --run"):
        finished_result(run)
    write_result(run, result)
    assert read_result(run) == finished_result(run) == result and has_result(run.folder)
    written = run.read("result.json")
    assert "latency_ns" not in written["all_global"] and "test_accuracy" in written["all_global"]
    assert not {"latency_ns", "test_accuracy"} & set(written["candidates"][0])


def test_the_best_trained_is_right_on_most_then_surest_then_cheapest(result: Result) -> None:
    one = result.winner
    ranked = [
        replace(one, accuracy=0.9, loss=2.0, macs=30),
        replace(one, accuracy=0.8, loss=1.0, macs=20),
        replace(one, accuracy=0.8, loss=1.5, macs=10),
        replace(one, accuracy=0.8, loss=1.5, macs=11),
    ]
    for i, best in enumerate(ranked):
        assert best_trained(reversed(ranked[i:])) is best
        assert best_trained(ranked[i:]) is best


def simple(name: str, accuracy: float) -> Baseline:
    return Baseline(name=name, setting="", images=9, accuracy=0.5, test_accuracy=accuracy)


def test_simple_models_are_kept_beside_the_answer(run: Run, result: Result) -> None:
    found = replace(result, baselines=(simple("a", 0.25), simple("b", 1.0)))
    write_result(run, found)
    assert read_result(run) == found
    write_result(run, result)
    assert not {"baselines", "no_baselines"} & set(run.read("result.json"))


def test_a_simple_model_that_wins_is_said_plainly(result: Result) -> None:
    def verdict(*accuracies: float, images: int = 30) -> str:
        models = tuple(simple("abc"[i], value) for i, value in enumerate(accuracies))
        return replace(result, baselines=models, test_images=images).verdict()  # 0.1 is the winner

    tie = ": 30 test images cannot tell the two apart."
    assert verdict(0.05, 0.9) == "b is better than the winner: 0.9000 against 0.1000."
    assert verdict(0.2) == f"a reaches 0.2000, the winner 0.1000{tie}"
    assert verdict(0.0, 0.1, 0.05) == "b is as good as the winner: both 0.1000."
    wins = "The winner is better than every simple model: 0.1000 against 0.0500 (a)."
    assert verdict(0.04, 0.03, 0.05) == f"c reaches 0.0500, the winner 0.1000{tie}"
    assert verdict(0.05, 0.04, 0.05, images=10_000) == wins
    assert verdict() == "" and replace(result, no_baselines="Too many.").verdict() == "Too many."


@pytest.mark.parametrize(
    ("shown", "given", "words"),
    [
        ([0, 1, 2], [0, 1, 1], "1 of the 3 classes that test images show: 2."),
        ([0, 0, 1], [0, 0, 0], "1 of the 2 classes that test images show: 1."),  # always the same
        ([3, 1, 2, 0, 4, 5, 6], [9] * 7, "7 of the 7 .*: 0, 1, 2, 3, 4 and 2 more."),
        ([0, 1, 1], [1, 0, 7], ""),
        ([4, 4], [4, 4], ""),
    ],
)
def test_classes_that_are_never_named_are_told(
    result: Result, shown: list[int], given: list[int], words: str
) -> None:
    confusion = Confusion.of(shown, given, 10)
    found = replace(
        result, winner=replace(result.winner, confusion=confusion), test_images=len(shown)
    )
    assert re.fullmatch(f"The winner never names {words}" if words else "", found.verdict())
    found = replace(found, baselines=(simple("a", 0.9),))
    assert "a is better than the winner: 0.9000 against 0.1000" in found.verdict()


def test_a_result_whose_parts_do_not_fit(result: Result) -> None:
    inputs, winner = result.inputs, result.winner
    with pytest.raises(InputError, match="mean and std must have 3 channels, got 1 and 1"):
        replace(inputs, channels=3)
    with pytest.raises(InputError, match="a name for each of the 10 classes of the winner, got 2"):
        replace(result, inputs=replace(inputs, classes=("a", "b")))
    with pytest.raises(InputError, match=r"winner.test_accuracy must be 0 to 1, got None"):
        replace(result, winner=replace(winner, test_accuracy=None))
    with pytest.raises(InputError, match="test_images must be >= 1, got 0"):
        replace(result, test_images=0)


def test_what_a_run_knows_of_itself(run: Run) -> None:
    assert replace(run.about, id="") == About(name="run", storage=None)
    assert len(run.about.id) == 32
    about = replace(run.about, environment={"device": "cpu"}, rescored=(0, 2))
    run.tell(about)
    assert run.about == about
    (run.folder / "run.json").unlink()
    assert run.about == About(name="run", storage=None)


def test_what_a_network_was_made_from(run: Run) -> None:
    plain = Identity(
        frame=run.plan.net,
        arch=run.plan.net.all_global(),
        training=TrainingRules(epochs=2, lr=1),
        augment=AugmentRules(crop=0.5),
        split="00",
        seed=3,
    )
    taught = replace(plain, distillation=DistillationRules(teacher="t"), teacher="11", repeat=2)
    for made_from in (plain, taught):
        index = {"versions": [{"meta": {"identity": made_from.to_dict()}}]}
        run.write(f"networks/{made_from.key}.json", index)
        assert identity_of(run, made_from.key) == made_from
    assert plain.key != taught.key
    assert not {"distillation", "teacher", "repeat"} & set(plain.to_dict())
    with pytest.raises(StateError, match=r"has no usable networks/../x.json"):
        identity_of(run, "../x")


def test_the_time_that_it_took(run: Run) -> None:
    assert read_spent(run) is None
    for _ in range(2):
        add_spent(run, TimeSpent(seconds=1.5, cpu_seconds=0.25))
    assert read_spent(run) == TimeSpent(seconds=3.0, cpu_seconds=0.5)
    run.write("spent.json", {"seconds": "long"})
    with pytest.raises(StateError, match=r"spent.json is no time that a run took: "):
        read_spent(run)


def test_a_split_that_is_none(run: Run) -> None:
    assert read_sizes(run) is None
    run.write("split.json", {"train": [1, 2]})
    with pytest.raises(StateError, match=r"split.json is no split of images \(KeyError"):
        read_sizes(run)
