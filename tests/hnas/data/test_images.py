import re

import numpy as np
import pytest
import torch
from PIL import Image

from hnas.data import Images, Source, fit
from hnas.data.size import Size
from hnas.errors import InputError


def images(labels: list[int], *, C: int = 1) -> Images:
    n = len(labels)
    pixels = torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1).expand(n, C, 4, 4)
    return Images(pixels=pixels, labels=torch.tensor(labels, dtype=torch.int64))


def test_take_keeps_pixels_and_labels_together() -> None:
    taken = images([5, 6, 7]).take(torch.tensor([2, 0]))
    assert taken.labels.tolist() == [7, 5]
    assert taken.pixels[:, 0, 0, 0].tolist() == [2, 0]
    assert len(taken) == 2


def test_to_moves_both() -> None:
    moved = images([0, 1]).to("meta")
    assert moved.pixels.device.type == moved.labels.device.type == "meta"


@pytest.mark.parametrize(
    ("pixels", "labels", "message"),
    [
        (torch.zeros(2, 1, 4, 4), torch.zeros(2).long(), "pixels must be uint8 (n, C, H, W)"),
        (torch.zeros(2, 4, 4).byte(), torch.zeros(2).long(), "got torch.uint8 (2, 4, 4)"),
        (torch.zeros(2, 2, 4, 4).byte(), torch.zeros(2).long(), "C = 1 or 3"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.zeros(3).long(), "labels must be int64 (2,)"),
        (torch.zeros(2, 1, 4, 4).byte(), torch.zeros(2), "got torch.float32 (2,)"),
    ],
)
def test_images_refuse_tensors_that_do_not_fit(
    pixels: torch.Tensor, labels: torch.Tensor, message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        Images(pixels=pixels, labels=labels)


def test_fingerprint_sees_pixels_labels_and_shape() -> None:
    base = images([0, 1])
    others = [
        images([1, 0]),
        Images(pixels=base.pixels + 1, labels=base.labels),
        Images(pixels=base.pixels.reshape(2, 1, 2, 8), labels=base.labels),
    ]
    assert len({one.fingerprint for one in [base, *others]}) == 4
    assert images([0, 1]).fingerprint == base.fingerprint


@pytest.mark.parametrize(
    ("train", "test", "classes", "message"),
    [
        ([0, 0], None, ("a",), "x: a data set needs at least two classes, got ['a']"),
        ([0, 2], None, ("a", "b"), "x: labels must be 0 to 1 (2 classes), the training part has 2"),
        ([0, -1], None, ("a", "b"), "the training part has -1"),
        ([0, 1], [3], ("a", "b"), "the test part has 3"),
        ([0, 1], [], ("a", "b"), "the test part needs images, got none"),
        ([0, 2], None, ("a", "b", "c"), "1 of 3 have none: 1 ('b')"),
    ],
)
def test_source_refuses_parts_that_do_not_fit(
    train: list[int], test: list[int] | None, classes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=re.escape(message)):
        Source(
            name="x",
            train=images(train),
            test=None if test is None else images(test),
            classes=classes,
        )


def test_fit_leaves_what_fits() -> None:
    pixels = torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)
    assert torch.equal(fit(pixels, Size(8, 3)), pixels)


def test_fit_crops_the_centre() -> None:
    pixels = torch.zeros(1, 1, 4, 10, dtype=torch.uint8)
    pixels[..., 3:7] = 200
    assert fit(pixels, Size(4, 1)).unique().tolist() == [200]
    assert fit(pixels.transpose(2, 3), Size(4, 1)).unique().tolist() == [200]


def test_fit_is_antialiased() -> None:
    """One bright column in eight falls between the pixels that plain bilinear looks at."""
    stripes = torch.tensor([160] + [0] * 7, dtype=torch.uint8).repeat(8).expand(1, 1, 64, 64)
    small = fit(stripes, Size(8, 1))
    assert 10 < small[..., 1:-1].float().mean() < 30


@pytest.mark.parametrize("way", ["bilinear", "bicubic"])
def test_fit_resizes_like_pillow(way: str) -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (24, 24, 3), dtype=np.uint8)
    pixels = torch.from_numpy(rgb).permute(2, 0, 1)[None]
    small = fit(pixels, Size(10, 3, interpolation=way))[0].permute(1, 2, 0)
    theirs = np.asarray(Image.fromarray(rgb).resize((10, 10), Image.Resampling[way.upper()]))
    assert np.abs(small.numpy().astype(int) - theirs).max() <= 1


def test_fit_converts_like_pillow() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
    grey = fit(torch.from_numpy(rgb).permute(0, 3, 1, 2), Size(16, 1))
    pillow = [np.asarray(Image.fromarray(one).convert("L")) for one in rgb]
    assert np.array_equal(grey[:, 0].numpy(), np.stack(pillow))


def test_fit_repeats_grey() -> None:
    grey = torch.randint(0, 256, (2, 1, 8, 8), dtype=torch.uint8)
    rgb = fit(grey, Size(8, 3))
    assert rgb.shape == (2, 3, 8, 8) and rgb.is_contiguous()
    assert all(torch.equal(rgb[:, c], grey[:, 0]) for c in range(3))
