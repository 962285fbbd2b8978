"""The recipe of a proposal: the kind of network, and how long and how it is trained.

Chosen by measure on photos, clothes and small pictures: docs/few-images.md has the table, printed
by `benchmarks.search.recipes`.
"""

from dataclasses import replace
from typing import Any

from hnas.architecture.space import Frame
from hnas.architecture.stem import LARGE
from hnas.settings import AugmentRules, TrainingRules
from hnas.studies.plan.tables import Retrain

KIND: dict[str, Any] = {"stem": "conv", "pool": "mean", "local": "conv2d"}
"""Of `Frame`: what a network is made of. On few images each is worth points (2106.14881)."""
FEW = 20_000
"""Training images up to which the stem is residual (docs/few-images.md#the-stem)."""


def fewer_blocks(frame: Frame) -> int:
    """So many fewer behind a residual stem: a network then costs about the same. The stem costs
    more if it keeps the image's side."""
    return 3 if frame.image < LARGE else 2


def kind(frame: Frame, *, trained: int) -> Frame:
    """The frame with what a network for so many training images is made of."""
    frame = replace(frame, **KIND)
    if trained > FEW:
        return frame
    return replace(frame, stem="residual", M=frame.M - fewer_blocks(frame))


def plain(frame: Frame) -> Frame:
    """The frame with KIND's stem, and as many blocks as that has."""
    more = fewer_blocks(frame) if frame.stem == "residual" else 0
    return replace(frame, stem=KIND["stem"], M=frame.M + more)


INTERPOLATION = "bicubic"
"""How images are resized: as DeiT does (2012.12877). On photos a tie with bilinear."""
MOST_EPOCHS, LEAST_EPOCHS = 120, 20
"""Of a supernet's training."""
LAST = 80
"""Most epochs of the last training."""
LARGEST = 128
"""Images of a step."""
REFIT = 20_000
"""Training images up to which the answer is trained on the held-out ones too."""


def kernels(side: int) -> tuple[int, tuple[int, ...]]:
    """(stage 1's kernel, stage 2's candidates) of a convolution on the grid, in patches a side."""
    candidates = tuple(K for K in (3, 5, 7) if 2 * side > K) or (1,)
    return candidates[len(candidates) // 2], candidates


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
    training: TrainingRules, augment: AugmentRules, *, top: int, trained: int
) -> Retrain:
    """From the supernet, at its rate: a third of its epochs to choose by. If there are at most
    REFIT images to train on, then as long as a network from scratch would take, on the held-out
    images too: a fifth more is worth most to them."""
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
    )
