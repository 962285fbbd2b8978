"""The training loop, for supernets and standalone networks. B images; pixels are uint8 until used.

All randomness is a function of (seed, epoch or step and micro-batch), so that a checkpoint needs no
generator's state, a training that was killed ends as the one that was not, and several processes
train what one would.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from hnas.data import Data, augmented, batches, mix, normalise, steps
from hnas.data.pixels import sent
from hnas.device import fits_memory, kept_casts, seeded
from hnas.errors import InputError, StateError
from hnas.network.compiled import compile_blocks
from hnas.network.precision import autocast, compute_in
from hnas.settings import AugmentRules, TrainingRules
from hnas.training import checkpoint, micro_batches
from hnas.training.judge import Judge, lost_patience, period, weigh
from hnas.training.losses import Losses, StepLosses, supervised
from hnas.training.processes import ONE_PROCESS, World
from hnas.training.record import Held, Kept
from hnas.training.trainer import Trainer, decay, learning_rate, resume, share

EXPLODED = 20
"""A loss above so many times that of guessing, ln(classes), has diverged."""


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One finished epoch."""

    epoch: int
    """Counted from 1."""
    epochs: int
    loss: float
    """Mean over the epoch's steps."""
    images_per_second: float
    lr: float
    """Of its last step."""
    plain: Held | None = None
    """The weights on held-out images; None if they were not judged after this epoch."""
    averaged: Held | None = None
    """The averaged weights, if there are any."""
    kept: Kept | None = None
    """The weights that the training keeps; None before it ends, or if nobody judges."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """The surroundings of a training: its checkpoint, its processes, its judge, its listeners. None
    of them changes what is learned; the judge decides what is kept of it."""

    path: Path | None = None
    """The checkpoint (without suffix) to resume from and to write; only the first process's."""
    identity: Mapping[str, Any] = field(default_factory=dict)
    """What the training depends on; a checkpoint of another one raises CheckpointError."""
    every: float = 5.0
    """Most seconds between an epoch's end and its checkpoint; the last epoch is always kept."""
    world: World = ONE_PROCESS
    """The processes that train together: the first one gives the others its weights and epoch."""
    job: Mapping[str, Any] | None = None
    """What the first process asks the others for, if they wait for jobs."""
    judge: Judge | None = None
    """Measures weights on held-out images; only the first process's. Without it the last epoch is
    kept, and of averaged weights these."""
    before_kept: Callable[[Epoch], None] = lambda epoch: None
    """Called after each epoch, before a checkpoint may hold it: for what must miss none. An epoch
    comes again if the process is killed in between."""
    on_epoch: Callable[[Epoch], None] = lambda epoch: None
    on_refused: Callable[[str], None] = lambda reason: None
    """Called with the reason for each damaged version that was passed over."""
    on_note: Callable[[str], None] = lambda text: None
    """Called with a sentence that a person should know."""


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
    context: Context | None = None,
) -> Kept | None:
    """Trains `model` in place on its device's `data.train`, leaves what is kept in it, in eval
    mode, and says what that is (None if nobody judges).

    The loss is the mean of `losses`, which gives as many as there are `passes`; by default the
    cross entropy with the labels (`supervised`). An epoch has so many times fewer steps: it costs
    the same, and sees so many times fewer images. A loss that explodes or weights that are not
    finite raise StateError, and are never kept. Raises InputError if there are more processes than
    micro-batches in a step, nobody judges which epoch is the best, blocks cannot be compiled, or
    the device lacks the precision.
    """
    context = context or Context()
    if rules.keep == "best" and context.judge is None and context.world.rank == 0:
        raise InputError("keep = 'best' needs held-out images: give the training a judge of them")
    trainer = Trainer(model, rules)
    resume(trainer, context.path, context.identity, context.on_refused)
    losses = losses or supervised(model, data, rules)
    training = _Training(trainer, data, rules, augmentation, seed, losses, passes, context)
    compute_in(model, rules.precision)
    if rules.compile:
        compile_blocks(model)
    model.train()
    model.zero_grad(set_to_none=True)
    if trainer.epoch < rules.epochs and not trainer.ended:
        with context.world.process_group(training.device, context.job):
            share(trainer, context.world, training.device)
            training.run()
    trainer.finish()
    return trainer.kept


@dataclass
class _Training:
    """A training under way."""

    trainer: Trainer
    data: Data
    rules: TrainingRules
    augmentation: AugmentRules
    seed: int
    losses: Losses
    passes: int
    context: Context

    def __post_init__(self) -> None:
        images, batch = len(self.data.train), self.rules.batch
        self.device = self.data.train.pixels.device
        self.per_epoch = max(1, round(steps(images, batch) / self.passes))
        self.count = micro_batches.count(self.rules, min(batch, images))
        self.mine = self.context.world.share(self.count)
        self.kept, self.saved = self.trainer.epoch, time.monotonic()
        self.steps = self.rules.epochs * self.per_epoch
        held_out, seen = len(self.data.held_out), self.per_epoch * min(batch, images)
        self.period = period(self.rules, held_out=held_out, seen=seen)

    def run(self) -> None:
        """All epochs that are left."""
        self._tell_decay()
        while not self.trainer.ended:
            began = time.monotonic()
            total, first, images = self._epoch()
            self.trainer.epoch += 1
            loss = float(total) / self.per_epoch
            self._check(loss, first)
            now = time.monotonic()
            done = self._judged(loss, images / max(now - began, 1e-9))
            self.context.before_kept(done)
            self._keep(now)
            self.context.on_epoch(done)

    def _judged(self, loss: float, speed: float) -> Epoch:
        """The epoch that has ended, judged if it is time to."""
        trainer, rules, world = self.trainer, self.rules, self.context.world
        epoch, judge = trainer.epoch, self.context.judge
        trainer.ended = epoch == rules.epochs
        plain = averaged = None
        if judge is not None and (trainer.ended or epoch % self.period == 0):
            plain, averaged = weigh(trainer, judge, keep=rules.keep)
            trainer.ended |= lost_patience(trainer, rules)
        if rules.patience and world.size > 1:  # the first process judges for all
            told = world.broadcast({"ended": torch.tensor(trainer.ended)}, self.device)
            trainer.ended = bool(told["ended"])
        return Epoch(
            epoch=epoch,
            epochs=rules.epochs,
            loss=loss,
            images_per_second=speed,
            lr=self._rate(epoch * self.per_epoch - 1),
            plain=plain,
            averaged=averaged,
            kept=trainer.kept if trainer.ended else None,
        )

    def _rate(self, step: int) -> float:
        return learning_rate(self.rules, step, self.steps)

    def _tell_decay(self) -> None:
        """Notes an average that no training of so few steps can reach."""
        asked, reached = self.rules.ema, decay(self.rules.ema, self.steps)
        if asked > reached:
            self.context.on_note(
                f"ema = {asked} is for longer trainings: the decay of averaged weights rises to "
                f"{reached:.4g} in {self.steps:,} steps, and no further"
            )

    def _epoch(self) -> tuple[Tensor, Tensor, int]:
        """The sum of the steps' losses, the first step's loss, and the images that were seen."""
        rules, epoch, count = self.rules, self.trainer.epoch, self.count
        n, seed = len(self.data.train), self.seed
        order = batches(n, rules.batch, seed=seed, epoch=epoch, repeats=rules.repeats)
        order = order[: self.per_epoch]
        parts = [micro_batches.take(index, n, count) for index in order for n in self.mine]
        numbers = range(epoch * self.per_epoch, epoch * self.per_epoch + len(order))
        seeds = [micro_batches.seed(seed, step, n) for step in numbers for n in self.mine]
        data, rules_of = self.data, self.augmentation
        taken = augmented(
            data.train, parts, rules_of, seeds, mean=data.mean, together=len(self.mine)
        )
        fetched = zip(parts, taken, strict=True)
        total = first = torch.zeros((), device=self.device)
        model, world = self.trainer.model, self.context.world
        for i, step in enumerate(numbers):
            losses = self.losses(step)
            backward = partial(self._backward, fetched, losses, step)
            with kept_casts(self.device):
                found = micro_batches.gradients(model, count, world, backward, losses)
            for loss in found:
                total += loss
            alone = step < rules.head_warmup * self.steps
            self.trainer.step(self._rate(step), rules.clip, head_only=alone)
            first = total.clone() if i == 0 else first
        seen = sum(len(index) // count * count for index in order)
        return total, first, seen * self.passes

    def _backward(
        self,
        fetched: Iterator[tuple[Tensor, Tensor]],
        losses: StepLosses,
        step: int,
        number: int,
        begin: Callable[[], None],
    ) -> Tensor:
        """Adds a micro-batch's share of the gradient; its shares of the losses (passes,). Before
        the last backward pass it calls `begin`."""
        index, taken = next(fetched)
        data, seed = self.data, micro_batches.seed(self.seed, step, number)
        images = normalise(taken, data.mean, data.std)
        answers = data.train.labels[sent(index, self.device)]
        images, targets = mix(images, answers, self.rules, classes=len(data.classes), seed=seed)
        computed = losses.of(images, targets)
        shares = []
        for a_pass in range(self.passes):
            with seeded(seed + a_pass, self.device), autocast(self.trainer.model):
                loss = next(computed) / (self.passes * self.count)
            shares.append(loss.detach())
            if a_pass == self.passes - 1:
                begin()
            loss.backward()
        return torch.stack(shares)

    def _check(self, loss: float, first: Tensor) -> None:
        """Raises StateError after an epoch that diverged."""
        limit = EXPLODED * math.log(max(len(self.data.classes), 2))
        if fault := _diverged(self.trainer, loss, limit):
            # Weights that were bad before the epoch's first step were saved as they were.
            spoilt = limit < float(first) < math.inf
            if self.context.path is not None and spoilt:
                checkpoint.drop(self.context.path)
            raise StateError(_advice(fault, self.rules, None if spoilt else self.kept))

    def _keep(self, now: float) -> None:
        """Saves the state, if the last checkpoint is old or this was the last epoch."""
        path, epoch = self.context.path, self.trainer.epoch
        is_due = now - self.saved > self.context.every or self.trainer.ended
        if path is not None and is_due:
            self.trainer.save(path, self.context.identity)
            self.saved, self.kept = now, epoch


def _diverged(trainer: Trainer, loss: float, limit: float) -> str | None:
    """The fault of a training after an epoch of this mean loss; None if there is none."""
    if not loss <= limit:
        return f"the loss of epoch {trainer.epoch} is {loss:.4g}, the most is {limit:.4g}"
    state = {name: t for name, t in trainer.state().items() if t.is_floating_point()}
    finite = torch.stack([tensor.isfinite().all() for tensor in state.values()])
    for name, is_finite in zip(state, finite.tolist(), strict=True):  # a GPU is waited for once
        if not is_finite:
            return f"after epoch {trainer.epoch} {name} has numbers that are not finite"
    return None


def _advice(fault: str, rules: TrainingRules, kept: int | None) -> str:
    """`kept` is the epoch of the checkpoint to resume from; None if that was bad already."""
    if kept is None:
        before = "What was saved last was bad already: it is dropped, the one before kept"
    else:
        before = f"The checkpoint of epoch {kept} is kept" if kept else "Nothing was saved yet"
    return (
        f"training diverged: {fault}. {before}, and the same command resumes from there. If it "
        f"happens again, begin another --run with a lower lr (now {rules.lr}) or a longer warmup "
        f"(now {rules.warmup})"
    )
