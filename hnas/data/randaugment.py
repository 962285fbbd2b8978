"""RandAugment (1909.13719) as DeiT trains with it, of kornia's operations.

The 15 operations, their ranges and random directions are those of timm's `rand-m9-mstd0.5-inc1`,
which DeiT (2012.12877, table 9) names 9/0.5; a magnitude of 10 is the strongest. kornia's own
RandAugment draws the operations once for a whole batch, and turns an enhancement one way only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from kornia import enhance
from kornia.geometry import transform
from torch import Tensor

from hnas.data.pixels import sent

Operation = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(images (b, C, H, W) in 0 to 1, strength (b,) in 0 to 1, sign (b,): 1 or -1) -> images."""


@dataclass(frozen=True)
class Drawn:
    """What is done to B images, in one of several rounds."""

    operation: Tensor
    """(B,) Place in OPERATIONS; their number: none."""
    strength: Tensor
    """(B,) 0 to 1."""
    sign: Tensor
    """(B,) 1 or -1."""


def draw(count: int, *, magnitude: float, std: float, operations: int) -> list[Drawn]:
    """The rounds of `count` images; each draws its own operations and strengths. Draws from torch's
    global CPU generator, as all of kornia's augmentation does."""
    rounds = []
    for _ in range(operations):
        chosen = torch.randint(len(OPERATIONS), (count,))
        done = torch.rand(count) < 0.5
        strength = ((magnitude + std * torch.randn(count)) / 10).clamp(0, 1)
        sign = 2.0 * torch.randint(2, (count,)) - 1
        chosen[~done] = len(OPERATIONS)
        rounds.append(Drawn(chosen, strength, sign))
    return rounds


def together(parts: Sequence[Sequence[Drawn]]) -> list[Drawn]:
    """The rounds of several batches as those of one."""
    names = [field.name for field in fields(Drawn)]
    return [
        Drawn(*(torch.cat([getattr(part, name) for part in of_all]) for name in names))
        for of_all in zip(*parts, strict=True)
    ]


def randaugment(images: Tensor, rounds: Sequence[Drawn], outside: Tensor | None = None) -> Tensor:
    """float (B, C, H, W) in 0 to 1 -> the same. `outside` (C,) is the colour of what is drawn
    outside an image; black without."""
    images = images.clone()
    for drawn in rounds:
        # What each operation is done to lies together, so that three copies reach the device.
        order = drawn.operation.argsort(stable=True)
        counts = drawn.operation.bincount(minlength=len(OPERATIONS) + 1).tolist()
        parts = [
            sent(v, images.device).split(counts)
            for v in (order, drawn.strength[order], drawn.sign[order])
        ]
        for (name, operation), index, *values in zip(OPERATIONS.items(), *parts, strict=False):
            if len(index):
                if outside is not None and name in MOVING:
                    operation = _on(outside, operation)
                images[index] = operation(images[index], *values).clamp(0, 1)
    return images


def _on(outside: Tensor, operation: Operation) -> Operation:
    """The operation, of values above a colour, as it draws zero outside an image."""
    ground = outside.view(-1, 1, 1)
    return lambda x, m, s: operation(x - ground, m, s) + ground


def _factor(strength: Tensor, sign: Tensor) -> Tensor:
    """The factor of an enhancement: 1 changes nothing, 0.1 nearly removes, 1.9 nearly doubles."""
    return (1 + 0.9 * strength * sign).clamp(min=0.1)


def _auto_contrast(x: Tensor) -> Tensor:
    """Each channel from 0 to 1; one of a single value stays, as in Pillow."""
    low, high = x.amin(dim=(2, 3), keepdim=True), x.amax(dim=(2, 3), keepdim=True)
    return torch.where(high > low, enhance.normalize_min_max(x), x)


def _solarize_add(x: Tensor, strength: Tensor) -> Tensor:
    return torch.where(x < 128 / 255, x + (110 / 255 * strength).view(-1, 1, 1, 1), x)


def _along(axis: int, distance: Tensor) -> Tensor:
    """(b,) -> (b, 2), the other axis 0."""
    zero = torch.zeros_like(distance)
    return torch.stack((distance, zero) if axis == 0 else (zero, distance), dim=1)


OPERATIONS: dict[str, Operation] = {
    "auto_contrast": lambda x, m, s: _auto_contrast(x),
    "equalize": lambda x, m, s: enhance.equalize(x),
    "invert": lambda x, m, s: 1 - x,
    "rotate": lambda x, m, s: transform.rotate(x, 30 * m * s),
    "posterize": lambda x, m, s: enhance.posterize(x, 4 - (4 * m).int()),
    "solarize": lambda x, m, s: enhance.solarize(x, 1 - m),
    "solarize_add": lambda x, m, s: _solarize_add(x, m),
    "color": lambda x, m, s: enhance.adjust_saturation_with_gray_subtraction(x, _factor(m, s)),
    "contrast": lambda x, m, s: enhance.adjust_contrast_with_mean_subtraction(x, _factor(m, s)),
    "brightness": lambda x, m, s: enhance.adjust_brightness_accumulative(x, _factor(m, s)),
    "sharpness": lambda x, m, s: enhance.sharpness(x, _factor(m, s)),
    "shear_x": lambda x, m, s: transform.shear(x, _along(0, 0.3 * m * s)),
    "shear_y": lambda x, m, s: transform.shear(x, _along(1, 0.3 * m * s)),
    "translate_x": lambda x, m, s: transform.translate(x, _along(0, 0.45 * m * s * x.shape[3])),
    "translate_y": lambda x, m, s: transform.translate(x, _along(1, 0.45 * m * s * x.shape[2])),
}
"""What is drawn outside an image is zero. Grey images have no colour to change."""
MOVING = {"rotate", "shear_x", "shear_y", "translate_x", "translate_y"}
"""Those that draw outside an image."""
