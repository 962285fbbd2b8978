"""Held-out images judge a training: which of its weights are kept, and when it ends."""

import math
from collections.abc import Callable

from torch import nn

from hnas.settings import TrainingRules
from hnas.training.record import Held, Kept
from hnas.training.trainer import Trainer

Judge = Callable[[nn.Module], Held]
"""Measures a network on the held-out images, in eval mode."""

SHARE = 0.1
"""Most that judging costs, as a share of training. A training step is about three forward passes
(one, and a backward pass of two)."""


def period(rules: TrainingRules, *, held_out: int, seen: int) -> int:
    """Epochs from one judgement to the next if an epoch sees so many images."""
    networks = 2 if rules.ema else 1
    return max(1, math.ceil(networks * held_out / (SHARE * 3 * seen)))


def weigh(trainer: Trainer, judge: Judge, *, keep: str) -> tuple[Held, Held | None]:
    """Judges the weights as they are, plain and averaged (None if there are none), and notes in
    `trainer` which to keep: the better now, or with `keep` = "best" if they are better than all
    before."""
    epoch, averaged = trainer.epoch, trainer.averaged
    found = [(trainer.model, judge(trainer.model))]
    if averaged is not None:
        found.append((averaged.module, judge(averaged.module)))
    trainer.model.train()
    net, best = max(found, key=lambda pair: pair[1].worth)  # the plain one of equals
    if keep == "last" or trainer.kept is None or best.worth > trainer.kept.worth:
        is_averaged = net is not trainer.model
        trainer.kept = Kept(
            epoch=epoch, averaged=is_averaged, accuracy=best.accuracy, loss=best.loss
        )
        if keep == "best":
            trainer.best = {name: t.detach().clone() for name, t in net.state_dict().items()}
    return found[0][1], found[1][1] if averaged is not None else None


def lost_patience(trainer: Trainer, rules: TrainingRules) -> bool:
    """Whether the best epoch is so long ago that the training ends."""
    best = trainer.kept.epoch if trainer.kept is not None else trainer.epoch
    return bool(rules.patience) and trainer.epoch - best >= rules.patience
