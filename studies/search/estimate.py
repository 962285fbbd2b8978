"""Estimates of a plan's time and memory, from a few of its steps on the device.

The steps are the search's own (`hnas.training`, `hnas.scoring.score.scores`) on random images:
nothing is read but a teacher that is brought, and nothing is written. They include augmentation,
optimiser and scoring, but not the reading of images, checkpoints and the storage, for which a range
has a margin.
"""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from hnas.architecture.arch import SKIPPED, Arch
from hnas.cost.block_latency import ROUNDS, measure
from hnas.data import Data, Images, steps
from hnas.data.sources.survey import Survey
from hnas.machine import peak_memory
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet
from hnas.scoring.score import scores
from hnas.settings import OWN_TEACHER, AugmentRules, DistillationRules, TrainingRules
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.proposal import parts
from hnas.studies.plan.steps import Alone, OfStage, OwnTeacher, steps_of
from hnas.studies.plan.strategies import stages
from hnas.studies.search.measure_latency import NETWORKS, table_blocks
from hnas.studies.search.network import own_teacher
from hnas.studies.search.processes import crew, training_work
from hnas.training.distillation import Teacher, load_teacher
from hnas.training.loop import Context, Epoch, train
from hnas.training.losses import supervised
from hnas.training.supernet import train_supernet

STEPS = 3
"""Training steps to time, after one that is not timed."""
SCORED = 2
"""Architectures to score and time."""
HELD_OUT = 256
"""Most held-out images to score them on: more take longer in proportion."""
MARGIN = 1.2
"""What is not timed takes at most so many times what is: a search for which four minutes were asked
took 4:36."""


@dataclass(frozen=True)
class Timed:
    """Seconds of one thing, timed a few times."""

    usual: float
    """Their median."""
    least: float
    most: float

    @classmethod
    def of(cls, seconds: Iterable[float]) -> "Timed":
        found = sorted(seconds)
        return cls(statistics.median(found), found[0], found[-1])

    def __mul__(self, times: float) -> "Timed":
        return Timed(self.usual * times, self.least * times, self.most * times)


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One step of a search."""

    what: str
    work: str
    """The amount of work, in words."""
    one: Timed
    """Seconds of one of `amounts`."""
    amount: int
    memory: int
    """Most bytes by then: of the process on a CPU, of tensors on a GPU."""
    share: float = 1.0
    """Of the time of one after the other, if several are trained at the same time."""

    @property
    def each(self) -> float:
        return self.one.usual

    @property
    def seconds(self) -> float:
        return self.each * self.amount * self.share

    @property
    def between(self) -> tuple[float, float]:
        """Seconds if all goes as fast as the fastest that was timed; and as the slowest, with a
        MARGIN for what was not timed."""
        amount = self.amount * self.share
        return self.one.least * amount, self.one.most * amount * MARGIN


def amounts(plan: Plan) -> list[int]:
    """How much of each step of `estimate` a plan has: epochs or trials; 1 of the latency table,
    which has no number."""
    return [*([1] if plan.needs_latency else []), *(one.amount for one in steps_of(plan))]


def estimate(plan: Plan, survey: Survey, device: torch.device) -> Iterator[Estimate]:
    """The steps of a search that take time, each timed when the iterator comes to it.

    Raises InputError or CheckpointError if the plan's teacher is not usable.
    """
    trained, held = parts(survey, plan.data)
    scored = min(plan.score.held_out or held, held)
    taken = min(survey.images, plan.data.limit or survey.images)
    rng = np.random.default_rng(0)
    batch = min(max(s.training.batch for s in stages(plan)), trained)
    data = _random(plan, batch, min(scored, HELD_OUT), device)
    # The images of a pack stay on disk, but for those to score on.
    resident = min(taken, scored) if survey.packed else taken
    images = resident * plan.net.channels * plan.net.image**2

    left = iter(amounts(plan))

    def step(what: str, work: str, one: Timed, share: float = 1.0) -> Estimate:
        have, amount = memory(device) + images, next(left)
        return Estimate(what=what, work=work, one=one, amount=amount, memory=have, share=share)

    if plan.needs_latency:
        networks, seconds = _latency_table(plan, device)
        yield step("latency table", f"{networks:,} networks", seconds)
    distribution: Arch | None = None
    brought = plan.retrain.distillation.teacher
    teacher = load_teacher(brought, data) if brought not in ("", OWN_TEACHER) else None
    for one in steps_of(plan):
        if isinstance(one, OfStage) and not one.scores:
            space, rules = one.stage.space(distribution), one.stage.training
            net = Supernet(space, dropout=rules.dropout).reset(0).to(device)
            each = _per_image(train_supernet, net, data, rules, plan.augment)
            work = f"{one.amount:,} epochs of {trained:,} images"
            yield step(f"supernet of stage {one.number}", work, each * _epoch(trained, rules))
        elif isinstance(one, OfStage):
            archs = [plan.costs().sample(space, rng) for _ in range(SCORED)]
            each = _trial(net, archs, data, plan, scored)
            work = f"{one.amount:,} trials on {scored:,} images"
            yield step(f"stage {one.number}", work, each)
            distribution = archs[0] if distribution is None else distribution
        elif isinstance(one, OwnTeacher):
            cnn, rules = own_teacher(plan.net).reset(0).to(device), one.course.training
            each = _per_image(train, cnn, data, rules, one.course.augment)
            teacher = Teacher.of(cnn, data)
            seen = trained + held * one.course.held_out_too
            work = f"a small CNN, {one.amount:,} epochs"
            yield step("teacher", work, each * _epoch(seen, rules))
        else:
            work, each, share = _alone(plan, one, teacher, data, device, trained)
            seen = trained + held * one.held_out_too
            yield step(one.what, work, each * _epoch(seen, one.rules.training), share)


def _alone(
    plan: Plan,
    asked: Alone,
    teacher: Teacher | None,
    data: Data,
    device: torch.device,
    trained: int,
) -> tuple[str, Timed, float]:
    """Networks that are trained alone, on `trained` images and perhaps the held-out ones: in words;
    the seconds per image of one; the share of the time of all that is left, if several are trained
    at the same time."""
    net, rules = Glit(plan.net, plan.net.all_global()).reset(0).to(device), asked.rules
    fit = _taught_by(teacher, rules.distillation) if teacher and asked.taught else train
    one = _per_image(fit, net, data, rules.training, rules.augment)
    count = "1 network" if asked.networks == 1 else f"{asked.networks} networks"
    work, share = f"{count}, {rules.training.epochs:,} epochs each", 1.0
    each = training_work(plan.net, net.arch, rules.training.epochs * trained)
    its = crew(plan.retrain.processes, device, [each] * asked.together)
    if its.size > 1:
        with _threads(its.threads):
            apart = _per_image(fit, net, data, rules.training, rules.augment)
        rounds = -(-asked.together // its.size) * apart.usual / one.usual
        share = (rounds + asked.networks - asked.together) / asked.networks
        work += f", {its.size} at a time"
    return work, one, share


def memory(device: torch.device) -> int:
    """Peak memory so far, in bytes: of this process on a CPU, of tensors on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_memory()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Lets torch compute with so many threads until its end."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _random(plan: Plan, batch: int, held: int, device: torch.device) -> Data:
    """Random images: `batch` to train on, `held` to score on."""
    net = plan.net
    generator = torch.Generator().manual_seed(0)

    def images(n: int) -> Images:
        shape = (n, net.channels, net.image, net.image)
        pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
        return Images(pixels=pixels, labels=torch.arange(n) % net.classes)

    return Data(
        train=images(max(batch, 2)),
        held_out=images(held),
        classes=tuple(map(str, range(net.classes))),
        mean=torch.full((net.channels,), 0.5),
        std=torch.full((net.channels,), 0.3),
    ).to(device)


def _per_image(
    fit: Callable[..., object],
    net: nn.Module,
    data: Data,
    rules: TrainingRules,
    augment: AugmentRules,
) -> Timed:
    """Seconds of training per image, of STEPS epochs of one batch each."""
    one = replace(data, train=data.train.take(torch.arange(min(rules.batch, len(data.train)))))
    timed: list[Epoch] = []
    context = Context(on_epoch=timed.append)
    timed_rules = replace(rules, epochs=1 + STEPS, keep="last", patience=0)
    fit(net, one, timed_rules, augment, seed=0, context=context)
    return Timed.of(1 / epoch.images_per_second for epoch in timed[1:])


def _taught_by(teacher: Teacher, rules: DistillationRules) -> Callable[..., object]:
    """A training that learns from a teacher too."""

    def fit(
        net: nn.Module, data: Data, training: TrainingRules, *given: Any, **context: Any
    ) -> object:
        losses = supervised(net, data, training, teacher.distil(rules))
        return train(net, data, training, *given, losses=losses, **context)

    return fit


def _epoch(trained: int, rules: TrainingRules) -> int:
    """Images of an epoch; a step that shows them to several subnets has fewer."""
    return steps(trained, rules.batch) * min(rules.batch, trained)


def _latency_table(plan: Plan, device: torch.device) -> tuple[int, Timed]:
    """The networks that a latency table measures, and the seconds, from a round of a few."""
    blocks = table_blocks(plan) - {SKIPPED}
    few, began = min(blocks, key=lambda block: block.key), time.perf_counter()
    table = measure(plan.net, [few], (), device, batch=plan.search.latency_batch, rounds=1)
    timed = 2 + len(table.plain)
    networks = 1 + len(blocks) + len(table.plain) + NETWORKS * len(stages(plan))
    return networks, Timed.of([(time.perf_counter() - began) / timed]) * (networks * ROUNDS)


def _trial(net: Supernet, archs: list[Arch], data: Data, plan: Plan, scored: int) -> Timed:
    """Seconds of one trial, on all images that the search scores it on."""
    began = time.perf_counter()
    clock = [time.perf_counter() for _ in scores(net, archs, data, plan.score)]
    measured = min(plan.score.recalibration, len(data.train)) + len(data.held_out)
    asked = plan.score.recalibration + scored
    return Timed.of(map(float, np.diff(clock, prepend=began))) * (asked / measured)
