"""An estimate is measured on the plan's own networks, and grows with what there is to do."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from hnas.cost.block_latency import ROUNDS, measure
from hnas.data import Survey
from hnas.network.glit import Glit
from hnas.studies.plan.change import override, with_values
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.proposal import propose
from hnas.studies.plan.tables import Handoff
from hnas.studies.search.estimate import (
    MARGIN,
    STEPS,
    Estimate,
    Timed,
    _per_image,
    _random,
    _taught_by,
    amounts,
    estimate,
    memory,
)
from hnas.studies.search.measure_latency import NETWORKS, table_blocks
from hnas.training.distillation import Teacher
from hnas.training.loop import Epoch, train
from hnas.training.supernet import train_supernet
from tests.support.peak import begin_anew

SURVEY = Survey(images=400, classes=10, side=8, channels=1, own_test=False)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def plan() -> Plan:
    plan = propose(SURVEY, "digits", device="cpu").plan
    net = replace(plan.net, M=2, d=12)
    s1, s2 = replace(plan.stage1, d_k=12), replace(plan.stage2, d_k=(6, 12))
    return replace(plan, net=net, stage1=s1, stage2=s2)


def by_step(plan: Plan, survey: Survey = SURVEY) -> dict[str, Estimate]:
    return {each.what: each for each in estimate(plan, survey, CPU)}


def test_every_step_that_takes_time_is_there(plan: Plan) -> None:
    found = by_step(plan)
    assert list(found) == [
        "supernet of stage 1",
        "stage 1",
        "supernet of stage 2",
        "stage 2",
        "teacher",
        "retraining",
        "all-global network",
        "on held-out images too",
    ]
    assert all(0 < each.seconds < 3600 for each in found.values())
    assert found["stage 1"].work == "100 trials on 60 images"
    assert found["retraining"].work == "3 networks, 40 epochs each"
    sizes = [each.memory for each in found.values()]
    # The kernel counts a process's peak by processor, and may be some pages off.
    assert all(later > before - 2**20 for before, later in pairwise(sizes)) and sizes[0] > 10**7
    assert list(by_step(override(plan, strategy="random"))) == [
        "supernet of stage 1",
        "stage 1",
        "teacher",
        "retraining",
        "all-global network",
        "on held-out images too",
    ]


def test_a_hand_off_that_trains_networks_is_a_step_of_its_own(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = Timed.of([1.0])
    monkeypatch.setattr("hnas.studies.search.estimate._per_image", lambda *args: second)
    few = override(plan, trials=10, epochs=3)
    handed = replace(few, handoff=Handoff(rule="retrained", top=4))
    found, without = by_step(handed), by_step(few)
    assert list(found) == [*list(without)[:2], "hand-off", *list(without)[2:]]
    assert found["hand-off"].work == "4 networks, 3 epochs each"
    assert found["hand-off"].seconds == 4 * 3 * 256
    assert amounts(handed) == [*amounts(few)[:2], 4 * 3, *amounts(few)[2:]]


def test_it_grows_with_the_work(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a second for an image and for a trial, the rest is arithmetic."""
    second = Timed.of([0.9, 1.0, 1.5])
    monkeypatch.setattr("hnas.studies.search.estimate._per_image", lambda *args: second)
    monkeypatch.setattr("hnas.studies.search.estimate._trial", lambda *args: second)
    few = by_step(override(plan, trials=10, epochs=3))
    assert few["supernet of stage 1"].seconds == 3 * 256
    assert few["stage 1"].seconds == 10
    assert few["stage 1"].between == pytest.approx((9, 15 * MARGIN))
    assert few["retraining"].seconds == 3 * 3 * 256
    assert few["all-global network"].seconds == (3 + 3 + 3) * 256
    assert few["on held-out images too"].seconds == 2 * 3 * 320
    assert few["teacher"].seconds == (9 + 3) * 320
    more = by_step(override(plan, trials=10, epochs=3), replace(SURVEY, images=800))
    assert more["supernet of stage 1"].seconds == 3 * 496  # 31 steps of 16 images


def test_who_learns_from_a_teacher_is_timed_learning_from_it(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers cost time too. Of a CNN without a refit, and of a network that is brought, all
    learn that are trained alone."""
    plain: list[bool] = []

    def per_image(fit: object, *_: object) -> Timed:
        plain.append(fit in (train, train_supernet))
        return Timed.of([1.0])

    def untaught(plan: Plan) -> list[bool]:
        plain.clear()
        by_step(plan)
        return plain

    def taught_by(teacher: str, *, refit: bool = True) -> Plan:
        values = {"retrain.distillation.teacher": teacher, "handoff.rule": "retrained"}
        more = {} if refit else {"retrain.refit": False, "retrain.refit_epochs": 0}
        return with_values(plan, {**values, **more})

    monkeypatch.setattr("hnas.studies.search.estimate._per_image", per_image)
    # Supernet, hand-off, supernet, CNN, retraining, all-global, the last training.
    assert untaught(taught_by("cnn")) == [True, True, True, True, True, True, False]
    # Supernet, CNN, hand-off, supernet, retraining, all-global.
    assert untaught(taught_by("cnn", refit=False)) == [True, True, False, True, False, False]
    # Supernet, hand-off, supernet, retraining, all-global, the last training.
    brought = taught_by("tests.studies.search.test_estimate:module")
    assert untaught(brought) == [True, False, True, False, False, False]
    assert untaught(taught_by("")) == 6 * [True]


def module() -> nn.Module:
    """A teacher of 8 x 8 images of one channel."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 10))


def test_a_training_that_learns_asks_its_teacher(plan: Plan) -> None:
    asked: list[int] = []

    class Telling(nn.Linear):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            asked.append(len(images))
            return super().forward(images.flatten(1))

    data, rules = _random(plan, 16, 8, CPU), replace(plan.retrain.training, epochs=2)
    fit = _taught_by(Teacher.of(Telling(64, 10), data), plan.retrain.distillation)
    net = Glit(plan.net, plan.net.all_global()).reset(0)
    fit(net, data, rules, plan.augment, seed=0)
    assert asked == [16, 16]


def test_networks_that_are_trained_together_take_less(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two processes train three networks in two rounds; with half the threads each takes longer."""
    threads: list[int] = []

    def per_image(*_: object) -> Timed:
        threads.append(torch.get_num_threads())
        return Timed.of([1.0 if threads[-1] == 4 else 1.2])

    monkeypatch.setattr("hnas.studies.search.estimate._per_image", per_image)
    monkeypatch.setattr("torch.get_num_threads", lambda: 4 if not held else held[-1])
    held: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", held.append)
    plan = override(plan, trials=10, epochs=3)
    retrain = replace(plan.retrain, processes=2)
    found = by_step(replace(plan, retrain=retrain))
    assert found["retraining"].work == "3 networks, 3 epochs each, 2 at a time"
    assert found["retraining"].seconds == pytest.approx(2 * 3 * 256 * 1.2)
    assert found["all-global network"].work == "1 network, 9 epochs each"
    assert found["on held-out images too"].seconds == pytest.approx(3 * 320 * 1.2)
    assert held[-1] == 4 and set(threads) == {2, 4}
    scratch = replace(retrain, start="scratch")
    found = by_step(replace(plan, retrain=scratch))
    assert found["retraining"].seconds == pytest.approx((2 * 1.2 + 1) * 3 * 256)  # all-global too


@pytest.mark.parametrize("skip", [False, True])
def test_of_a_latency_table_the_networks_that_it_measures_are_counted(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, skip: bool
) -> None:
    """A skipped block is in the table, and takes no network."""
    built: list[object] = []

    def seconds(build: object, *_: object) -> float:
        built.append(build)
        return 1e-3

    monkeypatch.setattr("hnas.cost.block_latency._seconds", seconds)
    plan = with_values(plan, {"search.objective": "latency", "stage1.skip": skip})
    blocks, archs = table_blocks(plan), 2 * NETWORKS * [plan.net.all_global()]
    measure(plan.net, blocks, archs, CPU, rounds=1)
    whole = len(built)
    built.clear()
    ticks = iter(range(1000))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))
    found = next(estimate(plan, SURVEY, CPU))
    assert (found.what, found.work) == ("latency table", f"{whole} networks")
    assert found.seconds == pytest.approx(1 / len(built) * whole * ROUNDS)


def test_more_held_out_images_than_are_timed_take_in_proportion(
    plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hnas.studies.search.estimate.HELD_OUT", 8)
    seen: list[int] = []

    def scores(net, archs, data, rules):
        seen.append(len(data.held_out))
        yield from archs

    monkeypatch.setattr("hnas.studies.search.estimate.scores", scores)
    ticks = iter(range(1000))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(ticks)))
    found = by_step(override(plan, trials=1))
    assert seen == [8, 8]
    recalibration = min(plan.score.recalibration, plan.stage1.training.batch)
    assert found["stage 1"].seconds == pytest.approx(
        (plan.score.recalibration + 60) / (recalibration + 8)
    )


def test_the_first_batch_is_not_timed_and_of_the_others_the_median(plan: Plan) -> None:
    """The first one allocates and compiles."""

    def fit(net, data, rules, augment, *, seed, context):
        assert len(data.train) == rules.batch and rules.epochs == 1 + STEPS
        for i, speed in enumerate([1.0, *np.linspace(10.0, 30.0, STEPS)], 1):
            told = Epoch(epoch=i, epochs=9, loss=0.0, images_per_second=float(speed), lr=0.0)
            context.on_epoch(told)

    data, rules = _random(plan, 64, 8, CPU), replace(plan.stage1.training, batch=64)
    found = _per_image(fit, None, data, rules, plan.augment)
    assert (found.usual, found.least, found.most) == pytest.approx((1 / 20, 1 / 30, 1 / 10))


def test_images_of_a_pack_are_not_in_memory(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnas.studies.search.estimate.memory", lambda device: 0)
    many = replace(SURVEY, images=1_000_000)
    plan = override(plan, epochs=1)
    plan = replace(plan, score=replace(plan.score, held_out=100))
    of_a_folder = by_step(plan, many)["stage 1"].memory
    assert of_a_folder == 1_000_000 * 64
    assert by_step(plan, replace(many, packed=True))["stage 1"].memory == 100 * 64


def test_memory_is_the_most_that_this_process_has_held() -> None:
    """Of more than the C library keeps: what it kept would be handed out again."""
    begin_anew()
    before = memory(CPU)
    assert before > 10**7
    held = torch.ones(3 * 10**8, dtype=torch.uint8)
    assert 2.9e8 < memory(CPU) - before < 4e8
    del held
    assert memory(CPU) - before > 2.9e8
