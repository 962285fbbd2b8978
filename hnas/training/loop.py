"""One training loop for a supernet and for a network alone. B images; pixels are uint8 until used.

All randomness is a function of (seed, epoch or step and micro-batch), so that a checkpoint needs no
generator's state, a training that was killed ends as the one that was not, and several processes
train what one would.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hnas.data import Data, augment, batches, mix, normalise, steps
from hnas.device import autocast, fits_memory, seeded
from hnas.errors import StateError
from hnas.settings import AugmentRules, TrainingRules
from hnas.training import checkpoint, micro_batches
from hnas.training.processes import ONE_PROCESS, World
from hnas.training.trainer import Trainer, _resume, _share, learning_rate

Losses = Callable[[Tensor, Tensor, int], Iterator[Tensor]]
"""(normalised images (B, C, image, image), targets, step) -> the step's losses, each computed when
it is asked for, so that the graph of the one before is gone."""

Distil = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(loss by the labels, float32 logits (B, classes), images as above) -> the loss to train by."""


EXPLODED = 20
"""A loss of so many times what guessing costs, ln(classes), is no training any more."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One finished epoch."""

    epoch: int
    """Counted from 1."""
    epochs: int
    loss: float
    """Mean over the epoch's steps."""
    images_per_second: float


@fits_memory(
    "Give its table of the plan a smaller batch, or a micro_batch that divides it, in another --run"
)
def train(
    model: nn.Module,
    data: Data,
    rules: TrainingRules,
    augmentation: AugmentRules,
    *,
    seed: int,
    losses: Losses | None = None,
    passes: int = 1,
    distil: Distil | None = None,
    path: Path | None = None,
    identity: Mapping[str, Any] | None = None,
    world: World = ONE_PROCESS,
    job: Mapping[str, Any] | None = None,
    every: float = 5.0,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_refused: Callable[[str], None] = lambda reason: None,
) -> None:
    """Trains `model` in place on its device's `data.train` and leaves it in eval mode.

    The loss is the cross entropy with the labels (mixed and smoothed as `rules` say), or what
    `distil` makes of it; or the mean of `losses`, which gives as many as there are `passes`. An
    epoch has so many times fewer steps: it costs the same, and sees so many times fewer images.
    `path` (without suffix) is the checkpoint to resume from and to write, at most once in `every`
    seconds and at the end. `identity` is what the training depends on; a checkpoint of another one
    raises CheckpointError. `on_refused` is told of each damaged version that was passed over.
    A loss that explodes or weights that are not finite raise StateError, and are never kept.

    The processes of `world` do it together: the first one gives the others its weights and epoch
    (where they wait for jobs, it asks them for `job`), and it alone has a `path`. Raises InputError
    where there are more of them than micro-batches in a step.
    """
    losses = losses or _supervised(model, rules, distil)
    labels, device = data.train.labels, data.train.pixels.device
    trainer = Trainer(model, rules)
    _resume(trainer, path, identity or {}, on_refused)
    per_epoch = max(1, round(steps(len(labels), rules.batch) / passes))
    count = micro_batches.count(rules, min(rules.batch, len(labels)))
    mine = world.share(count)
    kept = trainer.epoch
    total_steps = rules.epochs * per_epoch
    model.train()
    model.zero_grad(set_to_none=True)

    def backward(fetched: Iterator[tuple[Tensor, Tensor]], step: int, number: int) -> Tensor:
        """Adds a micro-batch's share of the gradient; its shares of the losses (passes,)."""
        index, taken = next(fetched)
        own = micro_batches.seed(_mixed(seed, step), number)
        batch = normalise(augment(taken, augmentation, seed=own), data.mean, data.std)
        answers = labels[index.to(device)]
        batch, targets = mix(batch, answers, rules, classes=len(data.classes), seed=own)
        computed = losses(batch, targets, step)
        shares = []
        for a_pass in range(passes):
            with seeded(own + a_pass, device), autocast(device):
                loss = next(computed) / (passes * count)
            shares.append(loss.detach())
            loss.backward()
        return torch.stack(shares)

    saved = time.monotonic()
    trains = trainer.epoch < rules.epochs
    with world.process_group(device, job) if trains else nullcontext():
        if trains:
            _share(trainer, world, device)
        while trainer.epoch < rules.epochs:
            began, images = time.monotonic(), 0
            total = first = torch.zeros((), device=device)
            order = batches(
                len(labels), rules.batch, seed=seed, epoch=trainer.epoch, repeats=rules.repeats
            )[:per_epoch]
            parts = [micro_batches.take(index, number, count) for index in order for number in mine]
            fetched = zip(parts, data.train.fetch(parts), strict=True)
            for i, index in enumerate(order):
                step = trainer.epoch * per_epoch + i
                shares = micro_batches.gradients(
                    model, count, world, partial(backward, fetched, step)
                )
                for share in shares.unbind():
                    total += share
                trainer.step(learning_rate(rules, step, total_steps), rules.clip)
                first = total.clone() if i == 0 else first
                images += len(index) // count * count * passes
            trainer.epoch += 1
            mean = float(total) / per_epoch
            limit = EXPLODED * math.log(max(len(data.classes), 2))
            if fault := _diverged(trainer, mean, limit):
                # Weights that were bad before the epoch's first step were saved as they were.
                spoilt = limit < float(first) < math.inf
                if path is not None and spoilt:
                    checkpoint.drop(path)
                raise StateError(_advice(fault, rules, None if spoilt else kept))
            now = time.monotonic()
            if path is not None and (now - saved > every or trainer.epoch == rules.epochs):
                meta = {"epoch": trainer.epoch, "identity": dict(identity or {})}
                checkpoint.save(path, trainer.state(), meta)
                saved, kept = now, trainer.epoch
            on_epoch(
                Epoch(
                    epoch=trainer.epoch,
                    epochs=rules.epochs,
                    loss=mean,
                    images_per_second=images / max(now - began, 1e-9),
                )
            )
    if trainer.averaged is not None:
        model.load_state_dict(trainer.averaged.module.state_dict())
    model.eval()


def _supervised(model: nn.Module, rules: TrainingRules, distil: Distil | None) -> Losses:
    def losses(images: Tensor, targets: Tensor, step: int) -> Iterator[Tensor]:
        logits = model(images).float()
        loss = F.cross_entropy(logits, targets, label_smoothing=rules.label_smoothing)
        yield loss if distil is None else distil(loss, logits, images)

    return losses


def _diverged(trainer: Trainer, loss: float, limit: float) -> str | None:
    """What is wrong with a training after an epoch of this mean loss; None where nothing is."""
    if not loss <= limit:
        return f"the loss of epoch {trainer.epoch} is {loss:.4g}, the most is {limit:.4g}"
    for name, tensor in trainer.state().items():
        if not bool(tensor.isfinite().all()):
            return f"after epoch {trainer.epoch} {name} has numbers that are not finite"
    return None


def _advice(fault: str, rules: TrainingRules, kept: int | None) -> str:
    """`kept` is the epoch of the checkpoint to go on from; None where that was bad already."""
    if kept is None:
        before = "What was saved last was bad already: it is dropped, the one before kept"
    else:
        before = f"The checkpoint of epoch {kept} is kept" if kept else "Nothing was saved yet"
    return (
        f"training diverged: {fault}. {before}, and the same command goes on from there. If it "
        f"happens again, begin another --run with a lower lr (now {rules.lr}) or a longer warmup "
        f"(now {rules.warmup})"
    )


def _mixed(seed: int, step: int) -> int:
    """One 63-bit seed for a step (splitmix64's multipliers keep neighbours apart)."""
    return (seed * 0x9E3779B97F4A7C15 ^ (step + 1) * 0xBF58476D1CE4E5B9) & (2**63 - 1)
