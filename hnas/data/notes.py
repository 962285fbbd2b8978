"""Notes: what a person should know of a data set before a search, one sentence each.

Shapes: n images, C channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from hnas.data.hashing import Index
from hnas.data.images import Images, Source
from hnas.data.on_disk import OnDisk
from hnas.data.size import Size
from hnas.persist.words import few
from hnas.settings import DataRules

Values = npt.NDArray[Any]

UNEQUAL = 4
"""A largest class of so many times the images of the smallest is worth a word."""
DARK = 32
"""A set that uses fewer of the 256 values is worth a word."""
CHUNK = 4096
"""Images at a time."""


def of_pixels(images: Images) -> Iterator[str]:
    """Images, or channels, with nothing to see in them."""
    lows, highs = _extremes(images.pixels)
    low, high = lows.min(axis=0), highs.max(axis=0)
    plain, n = int((lows == highs).all(axis=1).sum()), len(images)
    if plain:
        yield (
            f"{plain:,} of {n:,} training images have one value in all their pixels: there is "
            "nothing to see in them. If they are transparent, data.background in the plan says on "
            "what they are laid: white, grey or black"
        )
    elif (low == high).any():
        flat = ", ".join(str(c) for c in np.flatnonzero(low == high))
        yield f"channel {flat} has one value in all training images: it tells nothing"
    if isinstance(images.pixels, torch.Tensor) and 0 < high.max() - low.min() < DARK:
        yield (
            f"the training images use only the values {low.min()} to {high.max()} of 0 to 255. "
            "docs/data.md says how values of more than 8 bits are scaled"
        )


def of_cuts(images: Images, rules: DataRules) -> Iterator[str]:
    """Images in memory of which training never sees the border."""
    if rules.crop_pct < 1 and isinstance(images.pixels, torch.Tensor):
        channels, _, image = images.pixels.shape[1:]
        size = Size(image, channels, rules.background, rules.interpolation, rules.crop_pct)
        yield (
            f"training too sees only the middle of each picture, {rules.crop_pct:g} of its shorter "
            "side. Random crops are of all of it from a pack of whole pictures: hnas data pack "
            f"{rules.source} --to PACK {size.packing}"
        )


def _extremes(pixels: torch.Tensor | OnDisk) -> tuple[Values, Values]:
    """Smallest and largest value of each image's channels, two (n, C). Of images on disk, where no
    pixel is read: their mean, less and plus their deviation, in another unit."""
    if isinstance(pixels, OnDisk):
        count = pixels.counts[pixels.rows, None]
        sums, squares = (moments[pixels.rows] for moments in (pixels.sums, pixels.squares))
        spread = np.sqrt(count * squares - sums**2)
        return sums - spread, sums + spread
    found = [part.flatten(2).aminmax(dim=2) for part in pixels.split(CHUNK)]
    lows, highs = (torch.cat([getattr(f, m) for f in found]).cpu() for m in ("min", "max"))
    return lows.numpy().astype(np.int64), highs.numpy().astype(np.int64)


def of_classes(train: Images, test: Images | None, classes: Sequence[str]) -> Iterator[str]:
    """Unequal classes, and those without a test image."""
    counts = torch.bincount(train.labels.cpu(), minlength=len(classes))
    most, least = int(counts.argmax()), int(counts.argmin())
    large, small = int(counts[most]), int(counts[least])
    if large >= UNEQUAL * max(1, small):
        yield (
            f"the classes are unequal: {classes[most]} has {large:,} training images, "
            f"{classes[least]} {small:,}. Naming {classes[most]} every time is right for "
            f"{large / len(train):.1%} of them"
        )
    if test is not None:
        tested = torch.bincount(test.labels.cpu(), minlength=len(classes))
        if absent := [classes[c] for c in (tested == 0).nonzero().flatten().tolist()]:
            yield (
                f"{len(absent):,} of {len(classes):,} classes have no test image: {few(absent)}. "
                "The test accuracy says nothing of them"
            )


def of_labels(source: Source, hashes: Index) -> Iterator[str]:
    """Images of `source.train`, whose pixels have these hashes, that are there in another class."""
    order = np.argsort(hashes)
    same = hashes[order[1:]] == hashes[order[:-1]]
    if not same.any():
        return
    again = np.zeros(len(order), dtype=bool)
    again[1:] = same
    again[:-1] |= same
    rows = np.sort(order[again])
    labels = source.train.labels.numpy()[rows]
    _, pictures = np.unique(hashes[rows], return_inverse=True)
    first = np.full(len(rows), -1)
    first[pictures[::-1]] = labels[::-1]  # the label of each picture's first image
    others = np.flatnonzero(labels != first[pictures])
    if not len(others):
        return
    count = int(np.isin(pictures, pictures[others]).sum())
    other = others[0]
    one = np.flatnonzero(pictures == pictures[other])[0]
    yield (
        f"{count:,} of {len(hashes):,} labelled images have the pixels of an image of another "
        f"class, as {source.name_of(int(rows[one]))} and {source.name_of(int(rows[other]))}: no "
        "network can be right on both. Correct their labels, or leave them out"
    )


def of_copies(train: Index, **others: Index) -> Iterator[str]:
    """Images of other parts, by name, that are also training images, all by the hashes of their
    pixels."""
    for name, hashes in others.items():
        if copies := int(np.isin(hashes, train).sum()):
            yield (
                f"{copies:,} of {len(hashes):,} {name.replace('_', '-')} images are training "
                "images too (the same pixels): what is measured on them is too good"
            )
