"""Stems without torch: strides, widths, and that every pixel is seen."""

from __future__ import annotations

import pytest

from hnas.architecture.space import Frame
from hnas.architecture.stem import (
    LARGE,
    Convolution,
    Residual,
    convolutions,
    layers,
    of_small_cnn,
    small_cnn,
)


def frame(patch: int, d: int = 96, side: int = 3, **change: object) -> Frame:
    fields = {"channels": 3, "classes": 2, "d": d, "M": 1, "N": 3, "stem": "conv"}
    return Frame(image=patch * side, patch=patch, **(fields | change))


@pytest.mark.parametrize(
    ("patch", "d", "expected"),
    [
        (1, 48, [(3, 1, 48)]),
        (2, 48, [(3, 1, 24), (3, 2, 48)]),
        (3, 48, [(3, 1, 24), (3, 3, 48)]),
        (4, 48, [(3, 2, 24), (3, 2, 48)]),
        (7, 48, [(3, 1, 24), (7, 7, 48)]),
        (8, 96, [(3, 2, 24), (3, 2, 48), (3, 2, 96)]),
        (14, 60, [(3, 2, 32), (7, 7, 60)]),  # between convolutions a multiple of 8
        (16, 192, [(3, 2, 24), (3, 2, 48), (3, 2, 96), (3, 2, 192)]),
        (16, 12, [(3, 2, 8), (3, 2, 8), (3, 2, 8), (3, 2, 12)]),
    ],
)
def test_kernels_strides_and_widths(patch: int, d: int, expected: list[tuple[int, int, int]]):
    made = convolutions(layers(frame(patch, d)))
    assert [(one.kernel, one.stride, one.outputs) for one in made] == expected
    assert [one.inputs for one in made] == [3, *(one.outputs for one in made[:-1])]


@pytest.mark.parametrize(
    ("patch", "d", "expected"),
    [
        (1, 48, [(3, 1, 48), (3, 1, 48, 48)]),
        (2, 48, [(3, 1, 24), (3, 1, 24, 24), (3, 2, 24, 48)]),
        (7, 48, [(3, 1, 24), (3, 1, 24, 24), (7, 7, 24, 48)]),
        (8, 72, [(3, 2, 16), (3, 1, 16, 16), (3, 2, 16, 40), (3, 2, 40, 72)]),  # to the nearest
        (4, 6, [(3, 2, 8), (3, 1, 8, 8), (3, 2, 8, 6)]),
    ],
)
def test_residual_blocks(patch: int, d: int, expected: list[tuple[int, ...]]) -> None:
    check_residual(frame(patch, d, side=-(-LARGE // patch), stem="residual"), expected)


@pytest.mark.parametrize(
    ("patch", "d", "expected"),
    [
        (1, 48, [(3, 1, 48), (3, 1, 48, 48)]),
        (2, 48, [(3, 1, 24), (3, 1, 24, 24), (3, 2, 24, 48)]),
        (4, 96, [(3, 1, 24), (3, 1, 24, 24), (3, 2, 24, 48), (3, 2, 48, 96)]),
        (7, 48, [(3, 1, 24), (3, 1, 24, 24), (7, 7, 24, 48)]),
        (6, 60, [(3, 1, 16), (3, 1, 16, 16), (3, 2, 16, 32), (3, 3, 32, 60)]),
    ],
)
def test_residual_blocks_first_keep_a_small_images_side(
    patch: int, d: int, expected: list[tuple[int, ...]]
) -> None:
    small = frame(patch, d, side=(LARGE - 1) // patch, stem="residual")
    check_residual(small, expected)


def check_residual(drawn: Frame, expected: list[tuple[int, ...]]) -> None:
    """(kernel, stride, channels) of the first convolution, then of each block's first, with a
    second of 3 x 3 and a shortcut where it does not keep sides and channels."""
    first, *blocks = layers(drawn)
    assert (first.kernel, first.stride, first.outputs) == expected[0]
    for block, (kernel, stride, inputs, outputs) in zip(blocks, expected[1:], strict=True):
        assert isinstance(block, Residual)
        one, two, shortcut = block.conv1, block.conv2, block.shortcut
        assert shape(one) == (kernel, stride, inputs, outputs)
        assert shape(two) == (3, 1, outputs, outputs)
        assert (shortcut is None) == (stride == 1 and inputs == outputs)
        if shortcut:
            assert shape(shortcut) == (1, stride, inputs, outputs)
            assert shortcut.side == two.side == one.side and shortcut.padding == 0


def shape(one: Convolution) -> tuple[int, int, int, int]:
    return one.kernel, one.stride, one.inputs, one.outputs


@pytest.mark.parametrize("stem", ["patch", "conv", "residual"])
@pytest.mark.parametrize("patch", range(1, 25))
@pytest.mark.parametrize("side", [3, 64])
def test_every_pixel_is_in_a_window_and_a_patch_is_a_number(
    patch: int, stem: str, side: int
) -> None:
    drawn, before = frame(patch, side=side, stem=stem), side * patch
    aside = [one.shortcut for one in layers(drawn) if isinstance(one, Residual)]
    for one in convolutions(layers(drawn)):
        if one in aside:
            continue
        seen = set()
        for i in range(one.side):
            start = i * one.stride - one.padding
            seen |= set(range(start, start + one.kernel))
        assert set(range(before)) <= seen
        assert (before + 2 * one.padding - one.kernel) // one.stride + 1 == one.side
        before = one.side
    assert before == drawn.side == side


@pytest.mark.parametrize(
    ("drawn", "same"),
    [
        (frame(8, 192, 4, stem="residual"), True),
        (frame(16, 192, 4, stem="residual"), True),
        (frame(16, 192, 3, stem="residual"), True),
        (frame(4, 96, 7, stem="residual"), True),
        (frame(2, 48, 4, stem="residual"), True),
        (frame(8, 186, 4, stem="residual"), False),  # other channels
        (frame(4, 192, 7, stem="residual"), False),
        (frame(6, 72, 8, stem="residual"), False),
        (frame(8, 192, 4), False),  # other layers
        (frame(8, 192, 4, stem="patch"), False),
        (frame(32, 384, 4, stem="residual"), False),  # more layers
    ],
)
def test_which_stems_are_the_first_layers_of_the_small_cnn(drawn: Frame, same: bool) -> None:
    assert of_small_cnn(drawn) == same


def test_the_layers_of_the_small_cnn() -> None:
    first, *blocks = small_cnn(image=29, channels=1)
    assert shape(first) == (3, 1, 1, 24)
    assert [shape(one.conv1) for one in blocks] == [
        (3, 1, 24, 24),
        (3, 2, 24, 48),
        (3, 2, 48, 96),
        (3, 2, 96, 192),
    ]
    assert [one.conv1.side for one in blocks] == [29, 15, 8, 4]
    first, *_ = small_cnn(image=LARGE, channels=3, widths=(8,))
    assert (shape(first), first.side) == ((3, 2, 3, 8), LARGE // 2)
