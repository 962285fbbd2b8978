"""Augmentation of a batch, on the device that it is on."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

import torch

from hnas.data.images import Images
from hnas.data.on_disk import OnDisk
from hnas.data.pixels import sent
from hnas.data.whole import Crops
from hnas.errors import InputError
from hnas.settings import AugmentRules


def augmented(
    images: Images,
    order: Iterable[torch.Tensor],
    rules: AugmentRules,
    seeds: Sequence[int],
    *,
    mean: torch.Tensor,
) -> Iterator[torch.Tensor]:
    """The images of each index of `order`, augmented by its seed; uint8 (B, C, H, W). Crops of
    whole pictures are cut while these are read, and of all of the picture. `mean` (C,) is the
    images' colour, in units of 0 to 1."""
    pixels = images.pixels
    if isinstance(pixels, OnDisk) and pixels.whole and rules.crop < 1:
        taken = pixels.fetch(order, Crops(smallest=rules.crop, seeds=seeds))
        rules = replace(rules, crop=1.0)
    else:
        taken = images.fetch(order)
    for some, seed in zip(taken, seeds, strict=True):
        yield augment(some, rules, seed=seed, mean=mean)


def augment(
    pixels: torch.Tensor, rules: AugmentRules, *, seed: int, mean: torch.Tensor | None = None
) -> torch.Tensor:
    """uint8 (B, C, H, W) -> the same; every image draws its own crop, shift, flip, rotation,
    RandAugment, colours and rectangle, in this order. `mean` (C,) is the images' colour, which
    `randaugment_outside` may need.

    A pure function of its arguments: kornia draws from torch's global CPU generator, which is
    seeded for the call and then put back. Without augmentation, `pixels` itself, nothing drawn.
    """
    if rules == AugmentRules():
        return pixels
    # Takes a second to import, which only training with augmentation should pay.
    from kornia import augmentation as K

    size = (pixels.shape[-2], pixels.shape[-1])
    operations: list[Callable[[torch.Tensor], torch.Tensor]] = []
    if rules.crop < 1:
        # One warp for the batch. Bicubic values overshoot, and uint8 would wrap them around.
        crop = K.RandomResizedCrop(
            size, scale=(rules.crop, 1.0), resample="BICUBIC", cropping_mode="resample"
        )
        operations.append(lambda images: crop(images).clamp(0, 1))
    if rules.shift:
        # "resample" is one warp for the batch, "slice" one copy an image; whole pixels either way.
        operations.append(K.RandomCrop(size, padding=rules.shift, cropping_mode="resample"))
    if rules.flip:
        operations.append(K.RandomHorizontalFlip(p=0.5))
    if rules.rotate:
        operations.append(K.RandomRotation(rules.rotate, p=1.0))
    if rules.randaugment:
        from hnas.data.randaugment import randaugment

        drawn = partial(randaugment, magnitude=rules.randaugment, std=rules.randaugment_std)
        outside = None
        if rules.randaugment_outside == "mean":
            if mean is None:
                raise InputError("randaugment_outside = 'mean' needs the mean of the images")
            outside = mean
        operations.append(partial(drawn, operations=rules.randaugment_ops, outside=outside))
    if rules.jitter:
        operations.append(partial(_jitter, share=rules.jitter))
    if rules.erase:
        erase = K.RandomErasing(p=rules.erase)
        noise = torch.Generator(pixels.device).manual_seed(seed)
        operations.append(partial(_noisy, erase, noise) if rules.erase_noise else erase)
    # devices=[] and the CPU generator alone: a GPU's generator (dropout) is neither read nor set.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        images = pixels.float() / 255
        for operation in operations:
            images = operation(images)
    return (images * 255).round().to(torch.uint8)


def _jitter(images: torch.Tensor, share: float) -> torch.Tensor:
    """Another contrast about the middle, and another brightness of each channel: what a camera's
    exposure and white balance would change (after 1312.5402)."""
    B, C = images.shape[:2]
    draws = sent(2 * torch.rand(B, C + 1, 1, 1) - 1, images.device) * share
    return ((images - 0.5) * (1 + draws[:, :1]) + 0.5 + draws[:, 1:] / 4).clamp(0, 1)


def _noisy(
    erase: torch.nn.Module, generator: torch.Generator, images: torch.Tensor
) -> torch.Tensor:
    """Noise in the place of the pixels that `erase` makes black, drawn on the images' device."""
    kept = erase(torch.ones_like(images[:, :1])) > 0
    noise = torch.rand(images.shape, generator=generator, device=images.device)
    return torch.where(kept, images, noise)
