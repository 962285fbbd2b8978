from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from hnas.data import Images, augment, augmented
from hnas.errors import InputError
from hnas.settings import AugmentRules

EVERYTHING = AugmentRules(
    crop=0.3, shift=2, flip=True, rotate=15, randaugment=9, jitter=0.3, erase=0.5, erase_noise=True
)
SHAPES = [(16, 1, 8, 8), (16, 3, 12, 12)]


def noise(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(1, 256, shape, dtype=torch.uint8, generator=generator)


def test_nothing_asked_is_nothing_done() -> None:
    pixels = noise(4, 1, 8, 8)
    before = torch.random.get_rng_state()
    assert augment(pixels, AugmentRules(), seed=0) is pixels
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_seed_decides_and_the_global_generator_is_put_back(shape: tuple[int, ...]) -> None:
    pixels = noise(*shape)
    kept, before = pixels.clone(), torch.random.get_rng_state()
    one = augment(pixels, EVERYTHING, seed=1)
    torch.rand(3)
    same = augment(pixels, EVERYTHING, seed=1)
    other = augment(pixels, EVERYTHING, seed=2)
    assert one.dtype == torch.uint8 and one.shape == pixels.shape
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(pixels, kept), "the batch itself must not change"
    torch.random.set_rng_state(before)
    augment(pixels, EVERYTHING, seed=1)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    "rules",
    [
        AugmentRules(shift=2),
        AugmentRules(flip=True),
        AugmentRules(rotate=20),
        AugmentRules(erase=0.7),
        AugmentRules(crop=0.08),
        AugmentRules(randaugment=9.0),
        AugmentRules(jitter=0.2),
    ],
)
def test_every_image_draws_its_own(rules: AugmentRules) -> None:
    pixels = noise(1, 3, 12, 12).repeat(64, 1, 1, 1)
    distinct = {one.numpy().tobytes() for one in augment(pixels, rules, seed=0)}
    assert len(distinct) == 2 if rules.flip else len(distinct) > 10


def test_shift_is_a_crop_of_the_padded_image() -> None:
    image = noise(1, 3, 9, 9)
    padded = F.pad(image, (2, 2, 2, 2))
    crops = {
        padded[0, :, i : i + 9, j : j + 9].numpy().tobytes() for i in range(5) for j in range(5)
    }
    found = augment(image.repeat(400, 1, 1, 1), AugmentRules(shift=2), seed=0)
    assert {one.numpy().tobytes() for one in found} == crops


def test_flip_mirrors_about_half() -> None:
    pixels = noise(200, 1, 8, 8)
    found = augment(pixels, AugmentRules(flip=True), seed=0)
    flipped = (found == pixels.flip(-1)).flatten(1).all(dim=1)
    same = (found == pixels).flatten(1).all(dim=1)
    assert (flipped ^ same).all()
    assert 70 < flipped.sum() < 130


def test_rotation_stays_within_its_degrees() -> None:
    bar = torch.zeros(100, 1, 33, 33, dtype=torch.uint8)
    bar[:, :, 16, :] = 255
    found = augment(bar, AugmentRules(rotate=10), seed=0)[:, 0].float()
    rows = torch.arange(33.0).view(1, 33)
    right, left = ((found[:, :, c] * rows).sum(dim=1) / found[:, :, c].sum(dim=1) for c in (28, 4))
    degrees = torch.rad2deg(torch.atan((right - left) / 24))
    assert 8 < degrees.abs().max() < 10.5
    assert degrees.min() < -5 < 5 < degrees.max()


def test_erase_blanks_one_rectangle_of_some() -> None:
    pixels = noise(300, 3, 12, 12)
    found = augment(pixels, AugmentRules(erase=0.3), seed=0)
    blank = (found == 0).all(dim=1)
    assert torch.equal(torch.where(blank[:, None], 0, pixels), found)
    erased = blank.flatten(1).any(dim=1)
    assert 60 < erased.sum() < 120
    for mask in blank[erased]:
        height, width = mask.any(dim=1).sum(), mask.any(dim=0).sum()
        assert mask.sum() == height * width


def test_erase_fills_with_noise_where_asked() -> None:
    pixels = noise(300, 3, 12, 12)
    black = augment(pixels, AugmentRules(erase=0.3), seed=0)
    noisy = augment(pixels, AugmentRules(erase=0.3, erase_noise=True), seed=0)
    erased = (black == 0).all(dim=1, keepdim=True).expand_as(pixels)
    assert torch.equal(noisy[~erased], pixels[~erased])
    values = noisy[erased].float()
    assert values.mean() == pytest.approx(127.5, abs=3) and values.std() > 60


def test_a_crop_keeps_its_share_of_the_area_and_its_aspect() -> None:
    """On two ramps, a crop's values tell where it was cut."""
    side = 64
    ramp = torch.arange(side, dtype=torch.float32) * 3
    across, down = ramp.expand(side, side), ramp.view(-1, 1).expand(side, side)
    image = torch.stack((across, down, across))
    pixels = image.round().to(torch.uint8).repeat(400, 1, 1, 1)
    found = augment(pixels, AugmentRules(crop=0.25), seed=0).float() / 3
    width = found[:, 0, :, -2].mean(dim=1) - found[:, 0, :, 1].mean(dim=1)
    height = found[:, 1, -2].mean(dim=1) - found[:, 1, 1].mean(dim=1)
    width, height = (v * (side - 1) / (side - 3) + 1 for v in (width, height))
    area, aspect = width * height / side**2, width / height
    assert 0.22 < area.min() < 0.3 and 0.9 < area.max() < 1.1
    assert 0.7 < aspect.min() < 0.85 and 1.2 < aspect.max() < 1.4


def test_jitter_changes_contrast_and_each_channel_s_brightness() -> None:
    pixels = torch.full((500, 3, 4, 4), 64, dtype=torch.uint8)
    pixels[..., 2:] = 191  # both a quarter of the range off the middle
    found = augment(pixels, AugmentRules(jitter=0.2), seed=0).float() / 255
    assert torch.equal(found.amax((2, 3)), found[:, :, 0, 3]), "an image keeps its shapes"
    contrast = found[:, :, 0, 3] - found[:, :, 0, 0]
    assert (contrast.amax(1) - contrast.amin(1)).max() < 0.01, "one contrast for all channels"
    assert 0.395 < contrast.min() < 0.41 and 0.59 < contrast.max() < 0.605  # 0.498 -/+ 20%
    brightness = found.mean((2, 3)) - 0.5
    assert -0.055 < brightness.min() < -0.045 and 0.045 < brightness.max() < 0.055
    assert (brightness.amax(1) - brightness.amin(1)).max() > 0.08, "each channel draws its own"


@pytest.mark.parametrize("channels", [1, 3])
def test_bicubic_values_do_not_wrap_around(channels: int) -> None:
    pixels = torch.full((64, channels, 16, 16), 255, dtype=torch.uint8)
    pixels[:, :, ::4] = 250  # overshoots beyond white
    assert augment(pixels, AugmentRules(crop=0.5), seed=0).min() >= 240


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"crop": 0.0}, "crop must be a share of the area in (0, 1], got 0.0"),
        ({"randaugment": 11.0}, "randaugment must be 0 to 10, got 11.0"),
        ({"randaugment_std": -1.0}, "randaugment_std must be >= 0, got -1.0"),
        ({"randaugment_ops": 0}, "randaugment_ops must be >= 1, got 0"),
        ({"jitter": 1.0}, "jitter must be a share in [0, 1), got 1.0"),
    ],
)
def test_an_augmentation_that_breaks_a_rule_is_refused(values: dict, message: str) -> None:
    with pytest.raises(InputError) as caught:
        AugmentRules(**values)
    assert str(caught.value) == message


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("at_once", [2, 3, 8])
def test_batches_that_are_augmented_together_become_what_they_become_alone(
    channels: int, at_once: int
) -> None:
    """Their operations of RandAugment are done at once: a fifth of what a GPU has to start."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (40, channels, 16, 16), dtype=torch.uint8, generator=generator)
    images = Images(pixels=pixels, labels=torch.zeros(40, dtype=torch.long))
    order, seeds = torch.arange(40).split([8, 8, 7, 8, 9]), range(5)
    mean = torch.full((channels,), 0.4)
    rules = replace(EVERYTHING, randaugment_outside="mean")
    found = list(augmented(images, order, rules, seeds, mean=mean, together=at_once))
    for batch, index, seed in zip(found, order, seeds, strict=True):
        assert torch.equal(batch, augment(pixels[index], rules, seed=seed, mean=mean))
