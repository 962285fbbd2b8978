"""The recipe of a proposal: the kind of network, and how long and how it is trained.

Chosen by measure on photos, clothes and small pictures: docs/few-images.md has the table, printed
by `benchmarks.search.recipes`.
"""

from dataclasses import replace
from typing import Any

from hnas.settings import AugmentRules, TrainingRules
from hnas.studies.plan.plan import Retrain

KIND: dict[str, Any] = {"stem": "conv", "pool": "mean", "local": "conv2d"}
"""Of `Frame`: what a network is made of. On few images each is worth points (2106.14881)."""

MOST_EPOCHS, LEAST_EPOCHS = 120, 20
"""Of a supernet's training: more than 120 gained nothing, fewer than 20 leave it untrained."""


def kernels(side: int) -> tuple[int, tuple[int, ...]]:
    """(stage 1's kernel, stage 2's candidates) of a convolution on the grid, in patches a side."""
    candidates = tuple(K for K in (3, 5, 7) if 2 * side > K) or (1,)
    return candidates[len(candidates) // 2], candidates


def augmentation(*, channels: int, image: int) -> AugmentRules:
    """Crops and colours of photos; shifts of grey images, in which place and side have a meaning.

    Only colour images are mirrored: a mirrored letter is another one, or none.
    """
    if channels == 1:
        return AugmentRules(shift=max(1, image // 14))
    return AugmentRules(crop=0.5, flip=True, jitter=0.3)


def supernet_training(trained: int, *, seen: int, lr: float) -> TrainingRules:
    """So many epochs that about `seen` images are seen, within MOST_EPOCHS and LEAST_EPOCHS."""
    batch = min(128, 1 << (max(16, trained) // 8).bit_length() - 1)
    epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, round(seen / trained)))
    return TrainingRules(epochs=epochs, batch=batch, lr=lr, mixup=0.4, label_smoothing=0.1)


def retraining(training: TrainingRules, augment: AugmentRules, *, top: int) -> Retrain:
    """From the supernet: a third of its epochs at half its rate reach what training from scratch
    does in all of them."""
    rules = replace(training, epochs=max(8, training.epochs // 3), lr=training.lr / 2)
    return Retrain(top=top, start="supernet", training=rules, augment=augment)
