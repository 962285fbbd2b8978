"""Augmentation of a batch, on the device that it is on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from hnas.data.images import Images
from hnas.data.on_disk import OnDisk
from hnas.data.pixels import sent
from hnas.data.whole import Crops
from hnas.errors import InputError
from hnas.settings import AugmentRules

if TYPE_CHECKING:
    from hnas.data.randaugment import Drawn

Operation = Callable[[Tensor], Tensor]
"""float (B, C, H, W) in 0 to 1 -> the same."""


def augmented(
    images: Images,
    order: Iterable[Tensor],
    rules: AugmentRules,
    seeds: Sequence[int],
    *,
    mean: Tensor,
    together: int = 1,
) -> Iterator[Tensor]:
    """The images of each index of `order`, augmented by its seed; uint8 (B, C, H, W). Crops of
    whole pictures are cut while these are read, and of all of the picture. `mean` (C,) is the
    images' colour, in units of 0 to 1. So many indices are augmented `together`, to the same
    images: a GPU has to start fewer operations."""
    pixels = images.pixels
    if isinstance(pixels, OnDisk) and pixels.whole and rules.crop < 1:
        taken = pixels.fetch(order, Crops(smallest=rules.crop, seeds=seeds))
        rules = replace(rules, crop=1.0)
    else:
        taken = images.fetch(order)
    pairs = zip(taken, seeds, strict=True)
    at_once = together if rules.randaugment else 1  # all else is a few operations
    while some := list(islice(pairs, at_once)):
        yield from _augmented(some, rules, mean)


def augment(
    pixels: Tensor, rules: AugmentRules, *, seed: int, mean: Tensor | None = None
) -> Tensor:
    """uint8 (B, C, H, W) -> the same; every image draws its own crop, shift, flip, rotation,
    RandAugment, colours and rectangle, in this order. `mean` (C,) is the images' colour, which
    `randaugment_outside` may need.

    A pure function of its arguments: kornia draws from torch's global CPU generator, which is
    seeded for the call and then put back. Without augmentation, `pixels` itself, nothing drawn.
    """
    [found] = _augmented([(pixels, seed)], rules, mean)
    return found


def _augmented(
    parts: Sequence[tuple[Tensor, int]], rules: AugmentRules, mean: Tensor | None
) -> list[Tensor]:
    """Each of the batches, augmented by its seed; RandAugment's operations are those of one."""
    if rules == AugmentRules():
        return [pixels for pixels, _ in parts]
    found, states, drawn = [], [], []
    # devices=[] and the CPU generator alone: a GPU's generator (dropout) is neither read nor set.
    with torch.random.fork_rng(devices=[]):
        for pixels, seed in parts:
            torch.default_generator.manual_seed(seed)
            found.append(_done(_before(pixels, rules), pixels.float() / 255))
            if rules.randaugment:
                drawn.append(_draw(len(pixels), rules))
            states.append(torch.default_generator.get_state())
        if rules.randaugment:
            found = _randaugment(found, drawn, rules, mean)
        for i, (images, state) in enumerate(zip(found, states, strict=True)):
            torch.default_generator.set_state(state)
            pixels, seed = parts[i]
            images = _done(_after(pixels, rules, seed), images)
            found[i] = (images * 255).round().to(torch.uint8)
    return found


def _done(operations: Iterable[Operation], images: Tensor) -> Tensor:
    for operation in operations:
        images = operation(images)
    return images


def _before(pixels: Tensor, rules: AugmentRules) -> Iterator[Operation]:
    """What comes before RandAugment."""
    # Takes a second to import, which only training with augmentation should pay.
    from kornia import augmentation as K

    size = (pixels.shape[-2], pixels.shape[-1])
    if rules.crop < 1:
        # One warp for the batch. Bicubic values overshoot, and uint8 would wrap them around.
        crop = K.RandomResizedCrop(
            size, scale=(rules.crop, 1.0), resample="BICUBIC", cropping_mode="resample"
        )
        yield lambda images: crop(images).clamp(0, 1)
    if rules.shift:
        # "resample" is one warp for the batch, "slice" one copy an image; whole pixels either way.
        yield K.RandomCrop(size, padding=rules.shift, cropping_mode="resample")
    if rules.flip:
        yield K.RandomHorizontalFlip(p=0.5)
    if rules.rotate:
        yield K.RandomRotation(rules.rotate, p=1.0)


def _draw(count: int, rules: AugmentRules) -> list[Drawn]:
    from hnas.data.randaugment import draw

    how = {"magnitude": rules.randaugment, "std": rules.randaugment_std}
    return draw(count, **how, operations=rules.randaugment_ops)


def _randaugment(
    parts: Sequence[Tensor],
    drawn: Sequence[list[Drawn]],
    rules: AugmentRules,
    mean: Tensor | None,
) -> list[Tensor]:
    """Each of the batches, as one."""
    from hnas.data.randaugment import randaugment, together

    outside = None
    if rules.randaugment_outside == "mean":
        if mean is None:
            raise InputError("randaugment_outside = 'mean' needs the mean of the images")
        outside = mean
    images = parts[0] if len(parts) == 1 else torch.cat(list(parts))
    return list(randaugment(images, together(drawn), outside).split([len(p) for p in parts]))


def _after(pixels: Tensor, rules: AugmentRules, seed: int) -> Iterator[Operation]:
    """What comes after RandAugment."""
    from kornia import augmentation as K

    if rules.jitter:
        yield partial(_jitter, share=rules.jitter)
    if rules.erase:
        erase = K.RandomErasing(p=rules.erase)
        noise = torch.Generator(pixels.device).manual_seed(seed)
        yield partial(_noisy, erase, noise) if rules.erase_noise else erase


def _jitter(images: Tensor, share: float) -> Tensor:
    """Another contrast about the middle, and another brightness of each channel: what a camera's
    exposure and white balance would change (after 1312.5402)."""
    B, C = images.shape[:2]
    draws = sent(2 * torch.rand(B, C + 1, 1, 1) - 1, images.device) * share
    return ((images - 0.5) * (1 + draws[:, :1]) + 0.5 + draws[:, 1:] / 4).clamp(0, 1)


def _noisy(erase: torch.nn.Module, generator: torch.Generator, images: Tensor) -> Tensor:
    """Noise in the place of the pixels that `erase` makes black, drawn on the images' device."""
    kept = erase(torch.ones_like(images[:, :1])) > 0
    noise = torch.rand(images.shape, generator=generator, device=images.device)
    return torch.where(kept, images, noise)
