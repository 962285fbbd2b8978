"""Estimates of a plan's time and memory, from a few of its steps on the device.

The steps are the search's own (`hnas.training`, `hnas.scoring.score.scores`) on random images:
nothing is read or written. They include augmentation, optimiser and scoring, but not the reading of
images, checkpoints and the storage, for which a range has a margin.
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

from hnas.architecture.arch import Arch
from hnas.cost.block_latency import ROUNDS, measure
from hnas.data import Data, Images, steps
from hnas.data.sources.survey import Survey
from hnas.machine import peak_memory
from hnas.network.cnn import Cnn
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet
from hnas.scoring.score import scores
from hnas.settings import AugmentRules, DistillationRules, TrainingRules
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.proposal import parts
from hnas.studies.plan.strategies import REFIT, RETRAINING, cnn_epochs, of_a_cnn, retrained, stages
from hnas.studies.search.measure_latency import NETWORKS, table_blocks
from hnas.studies.search.network import own_teacher
from hnas.studies.search.processes import crew, training_work
from hnas.training.distillation import Teacher
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
    """How much of each step of `estimate` a plan has: epochs and trials of each stage, epochs of
    its own teacher and of all networks alone; 1 of what has no number."""
    stage = [n for stage in stages(plan) for n in (stage.training.epochs, stage.trials)]
    alone = [networks * asked.training.epochs for _, asked, networks in retrained(plan)]
    teacher = filter(None, [cnn_epochs(plan)])
    return [*([1] if plan.needs_latency else []), *stage, *teacher, *alone]


def estimate(plan: Plan, survey: Survey, device: torch.device) -> Iterator[Estimate]:
    """The steps of a search that take time, each timed when the iterator comes to it."""
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
    for number, stage in enumerate(stages(plan), 1):
        space, rules = stage.space(distribution), stage.training
        net = Supernet(space, dropout=rules.dropout).reset(0).to(device)
        each = _per_image(train_supernet, net, data, rules, plan.augment) * _epoch(trained, rules)
        work = f"{rules.epochs:,} epochs of {trained:,} images"
        yield step(f"supernet of stage {number}", work, each)
        archs = [plan.costs().sample(space, rng) for _ in range(SCORED)]
        each = _trial(net, archs, data, plan, scored)
        yield step(f"stage {number}", f"{stage.trials:,} trials on {scored:,} images", each)
        distribution = archs[0] if distribution is None else distribution
    cnn: Cnn | None = None
    if epochs := cnn_epochs(plan):
        cnn, course = own_teacher(plan.net).reset(0).to(device), of_a_cnn(plan)
        per_image = _per_image(train, cnn, data, course.training, course.augment)
        seen, rules = trained + held * course.held_out_too, course.training
        yield step("teacher", f"a small CNN, {epochs:,} epochs", per_image * _epoch(seen, rules))
    alone = Glit(plan.net, plan.net.all_global()).reset(0).to(device)
    last_one = REFIT if plan.retrain.refit else RETRAINING
    for what, asked, networks in retrained(plan):
        rules, seen = asked.training, trained + held * (what == REFIT)
        fit = train if cnn is None or what != last_one else _taught_by(cnn, asked.distillation)
        per_image = _per_image(fit, alone, data, rules, asked.augment)
        count = "1 network" if networks == 1 else f"{networks} networks"
        work = f"{count}, {rules.epochs:,} epochs each"
        several = asked.top if what == RETRAINING else networks
        each_one = training_work(plan.net, alone.arch, rules.epochs * trained)
        its, share = crew(plan.retrain.processes, device, [each_one] * several), 1.0
        if its.size > 1:
            with _threads(its.threads):
                apart = _per_image(fit, alone, data, rules, asked.augment)
            rounds = -(-several // its.size) * apart.usual / per_image.usual
            share = (rounds + networks - several) / networks
            work += f", {its.size} at a time"
        yield step(what, work, per_image * _epoch(seen, rules), share)


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


def _taught_by(cnn: Cnn, rules: DistillationRules) -> Callable[..., object]:
    """A training that learns from a CNN too."""

    def fit(
        net: nn.Module, data: Data, training: TrainingRules, *given: Any, **context: Any
    ) -> object:
        losses = supervised(net, data, training, Teacher.of(cnn, data).distil(rules))
        return train(net, data, training, *given, losses=losses, **context)

    return fit


def _epoch(trained: int, rules: TrainingRules) -> int:
    """Images of an epoch; a step that shows them to several subnets has fewer."""
    return steps(trained, rules.batch) * min(rules.batch, trained)


def _latency_table(plan: Plan, device: torch.device) -> tuple[int, Timed]:
    """The networks that a latency table measures, and the seconds, from a round of a few."""
    blocks = table_blocks(plan)
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
