"""Whole pictures of many sizes in files, and the squares that a network sees of them.

Shapes: B pictures of a batch, H x W pixels of one, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from io import BufferedReader
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image

from hnas.data.decode import centred, opened, resized, upright
from hnas.data.hashing import Index
from hnas.data.size import Size

Pixels = npt.NDArray[np.uint8]

RATIOS = (3 / 4, 4 / 3)
"""Width by height of a random crop, the least and the most."""
TRIES = 10


@dataclass(frozen=True, kw_only=True)
class Crops:
    """Random crops of batches."""

    smallest: float
    """Share of a picture's area, in (0, 1]; the largest is 1."""
    seeds: Sequence[int]
    """Of each batch."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Whole:
    """Where pictures are in their files, each uint8 (H, W, C), and how a square is made of one."""

    shapes: Index
    """(rows, 2): H and W."""
    starts: Index
    """(rows,): the first byte of each in its file."""
    interpolation: str
    crop_pct: float = 1.0
    """Share of the shorter side that is seen without a random crop."""

    def square(
        self, file: BufferedReader, row: int, of: tuple[int, int, int], box: Index | None
    ) -> Pixels:
        """uint8 `of` (C, image, image): what a box (top, left, H, W) has, or the middle without.

        Only its rows are read. Raises OSError if the file ends before.
        """
        channels, image, _ = of
        height, width = self.shapes[row].tolist()
        top, left, h, w = (0, 0, height, width) if box is None else box.tolist()
        line = width * channels
        found = np.empty((h, width, channels), np.uint8)
        read_at(file, int(self.starts[row]) + top * line, found)
        if box is not None:
            return _resized(found[:, left : left + w], image, self.interpolation)
        picture = Image.fromarray(found[..., 0] if channels == 1 else found)
        square = np.asarray(centred(picture, image, self.interpolation, self.crop_pct))
        return square.reshape(image, image, channels).transpose(2, 0, 1)


def read_at(file: BufferedReader, at: int, target: Pixels) -> None:
    """Fills `target` with the bytes from `at`. Raises OSError if there are fewer."""
    file.seek(at)
    if (end := at + file.readinto(target.data)) < at + target.nbytes:
        raise OSError(f"it ends at byte {end:,}, an image should be there")


def _resized(pixels: Pixels, image: int, interpolation: str) -> Pixels:
    """uint8 (H, W, C) -> (C, image, image), antialiased: Pillow's to a level or two, in a third of
    its time."""
    batch = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    return F.interpolate(batch, size=(image, image), mode=interpolation, antialias=True)[0].numpy()


def picture(file: Any, size: Size) -> Pixels:
    """An image file as a whole picture, uint8 (H, W, C): its shorter side has at most `size.image`
    pixels, and the longer at most LONGEST times as many. Raises what `opened` raises."""
    with opened(file, shorter=size.image) as found:
        plain = upright(found, size.channels, size.background)
    small = resized(plain, min(size.image, *plain.size), size.interpolation)
    return np.array(small).reshape(*small.size[::-1], size.channels)


def boxes(shapes: Index, smallest: float, seed: int) -> Index:
    """(B, 2), H and W of pictures -> (B, 4): top, left, H and W of a random crop of each.

    As torchvision's RandomResizedCrop: a share of the area and an aspect within RATIOS are drawn
    until they fit, TRIES times; else it is the largest crop in the middle.
    """
    rng = np.random.default_rng(seed)
    size = (len(shapes), TRIES)
    area = shapes.prod(axis=1, keepdims=True) * rng.uniform(smallest, 1, size)
    least, most = RATIOS
    ratio = np.exp(rng.uniform(math.log(least), math.log(most), size))
    tried = np.stack((np.sqrt(area / ratio), np.sqrt(area * ratio)), axis=-1).round()
    fits = np.all((tried >= 1) & (tried <= shapes[:, None]), axis=2)
    drawn = tried[np.arange(len(shapes)), fits.argmax(axis=1)].astype(np.int64)
    place = rng.uniform(size=shapes.shape)
    fitting = fits.any(axis=1, keepdims=True)
    height, width = shapes.T
    middle = np.stack((np.minimum(height, width / least), np.minimum(width, height * most)), axis=1)
    taken = np.where(fitting, drawn, np.maximum(middle.round(), 1).astype(np.int64))
    spare = shapes - taken
    corner = np.where(fitting, np.floor(place * (spare + 1)).astype(np.int64), spare // 2)
    return np.concatenate((corner, taken), axis=1)
