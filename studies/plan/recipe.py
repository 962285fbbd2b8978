"""The recipe of a proposal: the kind of network, and how long and how it is trained.

Chosen by measure on photos, clothes and small pictures: docs/few-images.md has the table, printed
by `benchmarks.search.recipes`.
"""

from dataclasses import replace
from typing import Any

from hnas.architecture.space import Frame
from hnas.architecture.stem import CNN_WIDTHS, of_small_cnn, strides
from hnas.settings import OWN_TEACHER, AugmentRules, DistillationRules, TrainingRules
from hnas.studies.plan.tables import Retrain

KIND: dict[str, Any] = {"stem": "conv", "pool": "mean", "local": "conv2d"}
"""Of `Frame`: what a network is made of. On few images each is worth points (2106.14881)."""
FEW = 20_000
"""Training images up to which the stem is residual (docs/few-images.md#the-stem)."""
LEAST_GRID = 4
"""Patches a side that a residual stem leaves at least, as in the small CNN."""


def residual(frame: Frame) -> Frame:
    """The frame with a residual stem: the small CNN's layers, but for its last if patches cannot
    be twice as large by strides of two, and fewer blocks behind it."""
    twice = 2 * frame.patch
    of_twos = twice.bit_count() == 1
    more = of_twos and frame.image % twice == 0 and frame.image // twice >= LEAST_GRID
    M, patch = (2, twice) if more else (3, frame.patch)
    frame = replace(frame, stem="residual", M=M, patch=patch)
    return replace(frame, d=max(frame.d, CNN_WIDTHS[0] * 2 ** (len(strides(frame)) - 1)))


def rate(frame: Frame) -> float:
    """The learning rate of batches of 64 and more. A wide network of plain convolutions has a
    smaller one."""
    return 1e-3 if frame.d >= 192 and frame.stem != "residual" else 2e-3


INTERPOLATION = "bicubic"
"""How images are resized: as DeiT does (2012.12877). On photos a tie with bilinear."""
MOST_EPOCHS, LEAST_EPOCHS = 120, 20
"""Of a supernet's training."""
LAST = 80
"""Most epochs of the last training."""
LARGEST = 128
"""Images of a step."""
SMALLEST = 8
"""Pixels a side that the small CNN needs."""
TEACHER = DistillationRules(teacher=OWN_TEACHER, rule="soft", weight=0.9, temperature=3.0)
"""From whom the last training learns too (docs/few-images.md#a-teacher)."""
REFIT = 20_000
"""Training images up to which the answer is trained on the held-out ones too."""


def kernels(side: int) -> tuple[int, tuple[int, ...]]:
    """(stage 1's kernel, stage 2's candidates) of a convolution on the grid, in patches a side."""
    candidates = tuple(K for K in (3, 5, 7) if 2 * side > K) or (1,)
    within = [K for K in candidates if side >= K] or candidates
    return within[len(within) // 2], candidates


def augmentation(*, channels: int) -> AugmentRules:
    """Crops of photos, mirrored and in other colours; smaller crops of grey images, not mirrored: a
    mirrored letter is another one, or none."""
    if channels == 1:
        return AugmentRules(crop=0.8)
    return AugmentRules(crop=0.5, flip=True, jitter=0.3)


def supernet_training(trained: int, *, seen: int, lr: float) -> TrainingRules:
    """So many epochs that about `seen` images are seen, within MOST_EPOCHS and LEAST_EPOCHS.

    Steps of a sixteenth of the images, at most LARGEST. The rate `lr` is for batches of 64 and
    more, and falls with the square root of smaller ones.
    """
    batch = min(LARGEST, 1 << (max(32, trained) // 16).bit_length() - 1)
    epochs = min(MOST_EPOCHS, max(LEAST_EPOCHS, round(seen / trained)))
    lr = float(f"{lr * min(1, batch / 64) ** 0.5:.1e}")
    return TrainingRules(epochs=epochs, batch=batch, lr=lr, mixup=0.4, label_smoothing=0.1)


def retraining(
    training: TrainingRules, augment: AugmentRules, net: Frame, *, top: int, trained: int
) -> Retrain:
    """From the supernet, at its rate: a third of its epochs to choose by. If there are at most
    REFIT images to train on, then as long as a network from scratch would take, on the held-out
    images too: a fifth more is worth most to them; and then from a small CNN, if they are large
    enough for one, and from its convolutions, if the stem is made of them."""
    rules = replace(training, epochs=max(8, training.epochs // 3))
    refit = trained <= REFIT
    last = min(LAST, round(1.6 * training.epochs)) if refit else 0
    return Retrain(
        top=top,
        start="supernet",
        refit=refit,
        refit_epochs=last,
        training=rules,
        augment=augment,
        distillation=replace(TEACHER, stem=of_small_cnn(net))
        if refit and net.image >= SMALLEST
        else DistillationRules(),
    )
