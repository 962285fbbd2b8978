"""Light augmentation of a batch, on the device that it is on."""

from __future__ import annotations

import torch

from hnas.rules import AugmentRules


def augment(pixels: torch.Tensor, rules: AugmentRules, *, seed: int) -> torch.Tensor:
    """uint8 (B, C, H, W) -> the same; every image draws its own shift, flip, rotation, rectangle.

    A pure function of its arguments: kornia draws from torch's global CPU generator, which is
    seeded for the call and then put back. Without augmentation, `pixels` itself, nothing drawn.
    """
    if rules == AugmentRules():
        return pixels
    # Takes a second to import, which only training with augmentation should pay.
    from kornia import augmentation as K

    size = (pixels.shape[-2], pixels.shape[-1])
    operations: list[torch.nn.Module] = []
    if rules.shift:
        # "resample" is one warp for the batch, "slice" one copy an image; whole pixels either way.
        operations.append(K.RandomCrop(size, padding=rules.shift, cropping_mode="resample"))
    if rules.flip:
        operations.append(K.RandomHorizontalFlip(p=0.5))
    if rules.rotate:
        operations.append(K.RandomRotation(rules.rotate, p=1.0))
    if rules.erase:
        operations.append(K.RandomErasing(p=rules.erase))
    # devices=[] and the CPU generator alone: a GPU's generator (dropout) is neither read nor set.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        images = pixels.float() / 255
        for operation in operations:
            images = operation(images)
    return (images * 255).round().to(torch.uint8)
