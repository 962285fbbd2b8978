"""Survey of a data source: the counts that a plan depends on. It decodes and resizes no image."""

import statistics
from dataclasses import dataclass
from pathlib import Path

import torch

from hnas.data.images import Source
from hnas.data.sources import folders
from hnas.data.sources.load import class_folders, read_source


@dataclass(frozen=True, kw_only=True)
class Survey:
    """A data source, counted."""

    images: int
    """Of the training part."""
    classes: int
    side: int
    """Pixels of an image's shorter side; the median."""
    channels: int
    """3 if there is colour, else 1."""
    own_test: bool
    """Whether the source has a test part of its own."""
    packed: bool = False
    """Whether it is a pack: its images are of this side and no other, and stay in their files."""


def survey(source: str, *, root: Path | None = None) -> Survey:
    """Counts what `hnas.data.load` would load under the same name.

    Of class folders the files are listed and some headers read; other sources are loaded as they
    are. Raises InputError if `load` would, apart from images that cannot be decoded.
    """
    folder = class_folders(source, root)
    return _folders(folder) if folder else _source(read_source(source, root, image=1, channels=1))


def _folders(folder: Path) -> Survey:
    found = folders.listing(folder)
    sizes, colours = zip(*folders.headers([file for file, _ in found.train]), strict=True)
    return Survey(
        images=len(found.train),
        classes=len(found.classes),
        side=round(statistics.median(map(min, sizes))),
        channels=3 if any(colours) else 1,
        own_test=found.test is not None,
    )


def _source(source: Source) -> Survey:
    pixels = source.train.pixels
    return Survey(
        images=len(source.train),
        classes=len(source.classes),
        side=min(pixels.shape[2:]),
        channels=pixels.shape[1],
        own_test=source.test is not None,
        packed=not isinstance(pixels, torch.Tensor),
    )
