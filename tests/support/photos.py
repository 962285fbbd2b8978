"""Folders of JPEGs with the statistics of photos: amplitudes fall as 1/f (Field, 1987), colours
vary less than brightness, sizes and formats vary. Nothing is to be seen in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

Field = npt.NDArray[np.float64]
SIDE, FIELDS = 384, 6
SIZES = ((320, 240), (240, 320), (300, 300), (384, 180))
"""Width and height."""


def fields(rng: np.random.Generator) -> Field:
    """(FIELDS, SIDE, SIDE): noise whose amplitude is one over its frequency, of deviation 1."""
    rows, columns = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE), indexing="ij")
    amplitude = 1 / np.maximum(np.hypot(rows, columns), 1 / SIDE)
    noise = np.fft.rfft2(rng.standard_normal((FIELDS, SIDE, SIDE)))
    found = np.fft.irfft2(noise * amplitude, s=(SIDE, SIDE))
    return (found - found.mean()) / found.std(axis=(1, 2), keepdims=True)


def write(folder: Path, counts: dict[str, tuple[int, int]], seed: int = 0) -> None:
    """JPEGs `folder/PART/CLASS/i.JPEG`; `counts` has of each part how many classes, and how many
    images of each. A class has a mixture of colours of its own."""
    rng = np.random.default_rng(seed)
    bank = fields(rng)
    for part, (classes, each) in counts.items():
        for c in range(classes):
            mixture = np.random.default_rng((seed, c)).normal(size=(3, 3)) * 12
            place = folder / part / f"n{c:08}"
            place.mkdir(parents=True)
            for i in range(each):
                width, height = SIZES[(c + i) % len(SIZES)]
                drawn = rng.choice(FIELDS, 4, replace=False)
                top, left = rng.integers(0, SIDE - np.array([height, width]) + 1)
                light, *colours = bank[drawn, top : top + height, left : left + width]
                pixels = (
                    120 + 50 * light[..., None] + np.moveaxis(np.array(colours), 0, -1) @ mixture
                )
                picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
                picture.save(place / f"{i}.JPEG", quality=90)
