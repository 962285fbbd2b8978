"""Losses: what a step's images cost a network, by their labels or by a teacher too."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

from hnas.data import Data
from hnas.settings import TrainingRules


@dataclass(frozen=True, kw_only=True)
class StepLosses:
    """What the micro-batches of one step cost."""

    of: Callable[[Tensor, Tensor], Iterator[Tensor]]
    """(normalised images (B, C, image, image), targets) -> the losses, each computed when it is
    asked for, so that the graph of the one before is gone."""
    leaves: Sequence[Tensor] = ()
    """Weights that have gradients besides the model's parameters."""
    give_back: Callable[[Sequence[Tensor | None]], None] = lambda found: None
    """Brings the gradients of the leaves to the parameters: the mean over all micro-batches."""


Losses = Callable[[int], StepLosses]
"""The losses of a step, by its number."""

Distil = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(loss by the labels, float32 logits (B, classes), images as above) -> the loss to train by."""


def class_weights(data: Data, rules: TrainingRules) -> Tensor | None:
    """The weight of each class in a loss, float32 (classes,): "balanced" gives an image of a rare
    class more, so that each class has the same share; None: all images count alike."""
    if rules.class_weights == "none":
        return None
    counts = data.train.labels.bincount(minlength=len(data.classes))
    return len(data.train) / (len(data.classes) * counts.clamp(min=1).float())


def by_labels(data: Data, rules: TrainingRules) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss by the labels: (float32 logits (B, classes), targets) -> their cross entropy,
    smoothed and weighted as `rules` say."""
    weight = class_weights(data, rules)
    return partial(F.cross_entropy, weight=weight, label_smoothing=rules.label_smoothing)


def supervised(
    model: nn.Module, data: Data, rules: TrainingRules, distil: Distil | None = None
) -> Losses:
    """The loss by the labels, or what `distil` makes of it."""
    loss_of = by_labels(data, rules)

    def of(images: Tensor, targets: Tensor) -> Iterator[Tensor]:
        logits = model(images).float()
        loss = loss_of(logits, targets)
        yield loss if distil is None else distil(loss, logits, images)

    each = StepLosses(of=of)
    return lambda step: each
