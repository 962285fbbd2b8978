"""Mixup and CutMix: images of a batch and their labels, mixed with each other.

B images; as timm's mode `batch`, which DeiT (2012.12877, table 9) trains with: one share for the
whole batch, whose images are mixed with those of the batch in reverse order.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hnas.data.pixels import sent
from hnas.settings import TrainingRules


def mix(
    images: Tensor, labels: Tensor, rules: TrainingRules, *, classes: int, seed: int
) -> tuple[Tensor, Tensor]:
    """float (B, C, H, W) and int64 (B,) -> mixed images and targets float32 (B, classes).

    A pure function of its arguments; the draws are the CPU's. If nothing is to be mixed, both as
    they are.
    """
    if not (rules.mixup or rules.cutmix):
        return images, labels
    stream = np.random.default_rng(seed)
    if rules.cutmix and (not rules.mixup or stream.random() < 0.5):
        images, share = _cut(images, stream.beta(rules.cutmix, rules.cutmix), stream)
    else:
        share = stream.beta(rules.mixup, rules.mixup)
        images = share * images + (1 - share) * images.flip(0)
    targets = F.one_hot(labels, classes).float()
    return images, share * targets + (1 - share) * targets.flip(0)


def _cut(images: Tensor, share: float, stream: np.random.Generator) -> tuple[Tensor, float]:
    """Images with a rectangle of the others', and the share of an image that is its own.

    The rectangle has sides (1 - share)^1/2 of the image's around a pixel drawn anywhere; what of it
    is outside is lost, and the share that is returned counts what is left.
    """
    H, W = images.shape[-2:]
    side = math.sqrt(1 - share)
    (top, bottom), (left, right) = (
        _interval(int(stream.integers(length)), int(length * side), length) for length in (H, W)
    )
    inside = torch.zeros(H, W, dtype=torch.bool)
    inside[top:bottom, left:right] = True
    mixed = torch.where(sent(inside, images.device), images.flip(0), images)
    return mixed, 1 - (bottom - top) * (right - left) / (H * W)


def _interval(centre: int, length: int, end: int) -> tuple[int, int]:
    return max(0, centre - length // 2), min(end, centre + length // 2)
