"""RandAugment: each operation against Pillow's, which timm's are, and what images draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance, ImageOps

from hnas.data.randaugment import OPERATIONS, draw, randaugment

M = 0.83
PILLOW: dict[str, Callable[[Image.Image, int], Image.Image]] = {
    "auto_contrast": lambda image, sign: ImageOps.autocontrast(image),
    "equalize": lambda image, sign: ImageOps.equalize(image),
    "invert": lambda image, sign: ImageOps.invert(image),
    "posterize": lambda image, sign: ImageOps.posterize(image, 4 - int(M * 4)),
    "solarize": lambda image, sign: ImageOps.solarize(image, 256 - int(M * 256)),
    "solarize_add": lambda image, sign: image.point(
        lambda v: min(255, v + int(M * 110)) if v < 128 else v
    ),
    "color": lambda image, sign: ImageEnhance.Color(image).enhance(1 + 0.9 * M * sign),
    "contrast": lambda image, sign: ImageEnhance.Contrast(image).enhance(1 + 0.9 * M * sign),
    "brightness": lambda image, sign: ImageEnhance.Brightness(image).enhance(1 + 0.9 * M * sign),
    "sharpness": lambda image, sign: ImageEnhance.Sharpness(image).enhance(1 + 0.9 * M * sign),
}
GEOMETRY = ("rotate", "shear_x", "shear_y", "translate_x", "translate_y")


def smooth(channels: int) -> torch.Tensor:
    """uint8 (8, channels, 24, 24)."""
    coarse = torch.rand(8, channels, 6, 6, generator=torch.Generator().manual_seed(0))
    fine = F.interpolate(255 * coarse, size=24, mode="bilinear")
    return fine.round().to(torch.uint8)


def apply(name: str, pixels: torch.Tensor, strength: float, sign: float) -> torch.Tensor:
    """In 0 to 255."""
    b = torch.ones(len(pixels))
    return 255 * OPERATIONS[name](pixels.float() / 255, strength * b, sign * b).clamp(0, 1)


def test_they_are_the_15_of_timm_s_increasing_set() -> None:
    assert set(OPERATIONS) == set(PILLOW) | set(GEOMETRY) and len(OPERATIONS) == 15


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", PILLOW)
def test_an_operation_is_pillow_s(name: str, sign: int, channels: int) -> None:
    pixels = smooth(channels)
    images = [Image.fromarray(p.permute(1, 2, 0).squeeze(2).numpy()) for p in pixels]
    made = np.stack([np.asarray(PILLOW[name](image, sign)) for image in images])
    expected = torch.from_numpy(made).view(8, 24, 24, channels).permute(0, 3, 1, 2)
    found = apply(name, pixels, M, sign)
    assert (found - expected).abs().max() < 2  # Pillow rounds what it blends, and cuts again


@pytest.mark.parametrize("name", ["auto_contrast", "equalize"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_channel_of_one_value_stays_as_in_pillow(name: str, channels: int) -> None:
    """Whole images of one grey, and one flat channel beside others that are not."""
    pixels = smooth(channels)
    pixels[:4] = torch.tensor([0, 7, 128, 255], dtype=torch.uint8).view(4, 1, 1, 1)
    pixels[4, 0] = 90
    images = [Image.fromarray(p.permute(1, 2, 0).squeeze(2).numpy()) for p in pixels]
    made = np.stack([np.asarray(PILLOW[name](image, 1)) for image in images])
    expected = torch.from_numpy(made).view(8, 24, 24, channels).permute(0, 3, 1, 2)
    assert (apply(name, pixels, M, 1) - expected).abs().max() < 2


@pytest.mark.parametrize("name", GEOMETRY)
@pytest.mark.parametrize("colour", [(0.5, 0.25, 0.75), (0.0, 0.0, 0.0)])
def test_what_is_outside_has_the_colour_that_is_asked(
    name: str, colour: tuple[float, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As Pillow's fillcolor, for turns to whole quarters of the strongest; within an image nothing
    changes."""
    monkeypatch.setattr("hnas.data.randaugment.OPERATIONS", {name: OPERATIONS[name]})
    images = torch.full((64, 3, 24, 24), 0.9)

    def drawn(outside: torch.Tensor | None) -> torch.Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return randaugment(
                images, draw(len(images), magnitude=10, std=0, operations=1), outside
            )

    black, filled = drawn(None), drawn(torch.tensor(colour))
    share = black / 0.9  # of the image in each pixel; the rest is the colour
    expected = share * 0.9 + (1 - share) * torch.tensor(colour).view(-1, 1, 1)
    assert torch.allclose(filled, expected, atol=1e-5) and share.min() == 0 and share.max() > 0.999


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("name", ["rotate", "shear_x", "shear_y", "translate_x", "translate_y"])
def test_bilinear_moves_are_near_pillows_bicubic_ones(name: str, sign: int) -> None:
    """In the middle of an image, the mean difference: docs/paper.md says how much."""
    pixels = smooth(3)
    m, side = M * sign, 24
    matrices = {
        "shear_x": (1, 0.3 * m, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, 0.3 * m, 1, 0),
        "translate_x": (1, 0, 0.45 * m * side, 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, 0.45 * m * side),
    }
    made = []
    for pixel in pixels:
        image = Image.fromarray(pixel.permute(1, 2, 0).numpy())
        if name == "rotate":
            one = image.rotate(30 * m, Image.Resampling.BICUBIC)
        else:
            size, how = image.size, Image.Transform.AFFINE
            one = image.transform(size, how, matrices[name], Image.Resampling.BICUBIC)
        made.append(torch.from_numpy(np.array(one)).permute(2, 0, 1))
    expected = torch.stack(made).float()
    both = [apply(name, pixels, M, s)[..., 9:15, 9:15] for s in (1, -1)]
    least = min((found - expected[..., 9:15, 9:15]).abs().mean() for found in both)
    assert least < 3


@pytest.mark.parametrize("sign", [-1, 1])
def test_translation_is_by_a_share_of_the_side(sign: int) -> None:
    pixels = smooth(3)
    across, down = (apply(name, pixels, 5 / 0.45 / 24, sign) for name in GEOMETRY[3:])
    cut = slice(5, None) if sign > 0 else slice(None, -5)
    kept = slice(None, -5) if sign > 0 else slice(5, None)
    assert torch.allclose(across[..., cut], pixels[..., kept].float(), atol=0.1)
    assert torch.allclose(down[..., cut, :], pixels[..., kept, :].float(), atol=0.1)


@pytest.mark.parametrize("sign", [-1, 1])
def test_rotation_is_by_30_degrees_at_most_and_shear_by_0_3(sign: int) -> None:
    """A bar through the middle, by where its ends are afterwards."""
    bar = torch.zeros(1, 1, 33, 33, dtype=torch.uint8)
    bar[:, :, 16] = 255
    rows = torch.arange(33.0)

    def slope(name: str) -> float:
        found = apply(name, bar, 1.0, sign)[0, 0]
        right, left = ((found[:, c] * rows).sum() / found[:, c].sum() for c in (26, 6))
        return float(right - left) / 20

    assert abs(slope("rotate")) == pytest.approx(np.tan(np.radians(30)), abs=0.03)
    assert abs(slope("shear_y")) == pytest.approx(0.3, abs=0.02)
    assert slope("shear_x") == pytest.approx(0, abs=0.02)


def test_an_image_draws_its_own_two_operations_or_fewer() -> None:
    """15 operations, two draws, each done half the time: 1/4 of images are left as they are."""
    pixels = smooth(3)[:1].repeat(1000, 1, 1, 1).float() / 255
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = randaugment(pixels, draw(len(pixels), magnitude=9, std=0.5, operations=2))
    untouched = (found == pixels).flatten(1).all(dim=1).float().mean()
    assert untouched == pytest.approx(0.25, abs=0.05)
    assert len({one.numpy().tobytes() for one in found}) > 500
    assert found.min() >= 0 and found.max() <= 1


def test_a_magnitude_is_what_most_images_get() -> None:
    pixels = torch.full((4000, 1, 4, 4), 0.3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        exact = randaugment(pixels, draw(len(pixels), magnitude=9, std=0.0, operations=1))
    # Brightness 0.19 and 1.81 are among what a grey image of 0.3 becomes; nothing in between.
    values = exact[:, 0, 1, 1]
    for factor in (0.19, 1.81):
        share = (values - 0.3 * factor).abs().lt(1e-4).float().mean()
        assert share == pytest.approx(0.5 / 15 / 2, abs=0.01)
