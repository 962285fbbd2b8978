"""Features of images: their sizes, and what a histogram of gradients sees and does not see."""

from __future__ import annotations

import pytest
import torch

from hnas.baselines.features import BINS, hog, raw


def noise(*shape: int) -> torch.Tensor:
    return torch.randint(0, 256, shape, generator=torch.Generator().manual_seed(0)).byte()


@pytest.mark.parametrize(
    ("side", "cells"), [(1, 1), (2, 1), (3, 1), (5, 2), (8, 4), (28, 7), (32, 8), (64, 8), (70, 7)]
)
def test_an_image_of_any_side_has_features(side: int, cells: int) -> None:
    for channels in (1, 3):
        found = hog(noise(2, channels, side, side))
        blocks, of_a_block = max(1, cells - 1) ** 2, min(2, cells) ** 2
        assert found.shape == (2, blocks * of_a_block * BINS)
        assert found.isfinite().all()
        assert raw(noise(2, channels, side, side)).shape == (2, channels * min(side, 32) ** 2)


def stripes(side: int = 16) -> torch.Tensor:
    """One image, dark and light across: all gradients have one direction."""
    row = (torch.arange(side) // 4 % 2 * 200).byte()
    return row.expand(1, 1, side, side).contiguous()


def directions(pixels: torch.Tensor) -> torch.Tensor:
    """The weight of each direction in an image."""
    return hog(pixels).view(BINS, -1).sum(dim=1)


def test_stripes_have_the_direction_of_their_gradient() -> None:
    across, down = directions(stripes()), directions(stripes().transpose(2, 3))
    assert across.argmax() == 0 and float(across[1:].sum()) == 0
    assert set(down.topk(2).indices.tolist()) == {4, 5}  # 90 degrees lie between 80 and 100
    assert torch.allclose(down[4], down[5])


def test_the_sign_of_a_gradient_does_not_count() -> None:
    assert torch.allclose(directions(stripes()), directions(200 - stripes()), atol=1e-4)


def test_a_colour_image_counts_its_strongest_channel() -> None:
    grey = noise(3, 1, 16, 16)
    flat = torch.full_like(grey, 90)
    for channels in ([grey, flat, flat], [flat, flat, grey], [grey, grey, grey]):
        assert torch.equal(hog(torch.cat(channels, dim=1)), hog(grey))


def test_an_image_without_gradients_has_no_direction() -> None:
    assert not hog(torch.full((1, 3, 16, 16), 77, dtype=torch.uint8)).any()
