"""Estimates of a plan's time and memory, from a few of its steps on the device.

The steps are the search's own (`hnas.training`, `hnas.scoring.score.scores`) on random images:
nothing is read or written. They include augmentation, optimiser and scoring, but not the reading of
images, checkpoints and the storage.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from hnas.architecture.arch import Arch
from hnas.data import Data, Images, steps
from hnas.data.sources.survey import Survey
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet
from hnas.scoring.score import scores
from hnas.settings import AugmentRules, TrainingRules
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.proposal import parts
from hnas.studies.plan.strategies import stages
from hnas.training.loop import Context, Epoch, train
from hnas.training.supernet import train_supernet

STEPS = 3
"""Training steps to time, after one that is not timed."""
SCORED = 2
"""Architectures to score and time."""
HELD_OUT = 256
"""Most held-out images to score them on: more take longer in proportion."""


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """One step of a search."""

    what: str
    work: str
    """The amount of work, in words."""
    seconds: float
    memory: int
    """Most bytes by then: of the process on a CPU, of tensors on a GPU."""


def estimate(plan: Plan, survey: Survey, device: torch.device) -> Iterator[Estimate]:
    """The steps of a search that take time, each timed when the iterator comes to it."""
    trained, held = parts(survey, plan.data)
    taken = min(survey.images, plan.data.limit or survey.images)
    rng = np.random.default_rng(0)
    data = _random(plan, min(max(s.training.batch for s in stages(plan)), trained), held, device)
    # The images of a pack stay on disk, but for those to score on.
    resident = min(taken, _scored(plan, held)) if survey.packed else taken
    images = resident * plan.net.channels * plan.net.image**2
    distribution: Arch | None = None
    for number, stage in enumerate(stages(plan), 1):
        space = stage.space(distribution)
        net = Supernet(space, dropout=stage.training.dropout).reset(0).to(device)
        rules = stage.training
        per_image = _per_image(train_supernet, net, data, rules, plan.augment)
        yield Estimate(
            what=f"supernet of stage {number}",
            work=f"{rules.epochs:,} epochs of {trained:,} images",
            seconds=per_image * _seen(trained, rules),
            memory=memory(device) + images,
        )
        archs = [plan.costs().sample(space, rng) for _ in range(SCORED)]
        per_trial = _trial(net, archs, data, plan, held)
        yield Estimate(
            what=f"stage {number}",
            work=f"{stage.trials:,} trials on {_scored(plan, held):,} images",
            seconds=per_trial * stage.trials,
            memory=memory(device) + images,
        )
        distribution = archs[0] if distribution is None else distribution
    retrain = plan.retrain
    alone = Glit(plan.net, plan.net.all_global()).reset(0).to(device)
    per_image = _per_image(train, alone, data, retrain.training, retrain.augment)
    networks = retrain.top + 1
    yield Estimate(
        what="retraining",
        work=f"{networks} networks, {retrain.training.epochs:,} epochs each",
        seconds=per_image * networks * _seen(trained, retrain.training),
        memory=memory(device) + images,
    )


def memory(device: torch.device) -> int:
    """Peak memory so far, in bytes: of this process on a CPU, of tensors on a GPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _random(plan: Plan, batch: int, held: int, device: torch.device) -> Data:
    """Random images: one batch to train on, some to score on."""
    net = plan.net
    generator = torch.Generator().manual_seed(0)

    def images(n: int) -> Images:
        shape = (n, net.channels, net.image, net.image)
        return Images(
            pixels=torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
            labels=torch.arange(n) % net.classes,
        )

    return Data(
        train=images(max(batch, 2)),
        held_out=images(min(_scored(plan, held), HELD_OUT)),
        classes=tuple(map(str, range(net.classes))),
        mean=torch.full((net.channels,), 0.5),
        std=torch.full((net.channels,), 0.3),
    ).to(device)


def _scored(plan: Plan, held: int) -> int:
    return min(plan.score.held_out or held, held)


def _per_image(
    training: Callable[..., None],
    net: nn.Module,
    data: Data,
    rules: TrainingRules,
    augment: AugmentRules,
) -> float:
    """Seconds of training per image: the median of STEPS epochs of one batch each."""
    one = replace(data, train=data.train.take(torch.arange(min(rules.batch, len(data.train)))))
    timed: list[Epoch] = []
    context = Context(on_epoch=timed.append)
    training(net, one, replace(rules, epochs=1 + STEPS), augment, seed=0, context=context)
    return 1 / statistics.median(epoch.images_per_second for epoch in timed[1:])


def _seen(trained: int, rules: TrainingRules) -> int:
    """Images of a whole training; a step that shows them to several subnets has fewer."""
    return rules.epochs * steps(trained, rules.batch) * min(rules.batch, trained)


def _trial(net: Supernet, archs: list[Arch], data: Data, plan: Plan, held: int) -> float:
    """Seconds of one trial, on all images that the search scores it on."""
    seconds = []
    began = time.perf_counter()
    for _ in scores(net, archs, data, plan.score):
        seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
    measured = min(plan.score.recalibration, len(data.train)) + len(data.held_out)
    asked = plan.score.recalibration + _scored(plan, held)
    return statistics.median(seconds) * asked / measured
