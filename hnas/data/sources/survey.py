"""Survey of a data source: the counts that a plan depends on. It decodes and resizes no image."""

import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import itemgetter
from pathlib import Path

from hnas.data.images import Source
from hnas.data.on_disk import OnDisk
from hnas.data.size import Size
from hnas.data.sources import given
from hnas.data.sources.files import headers
from hnas.data.sources.listing import Listing
from hnas.data.sources.load import listed, read_source


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
    """Whether it is a pack: its images stay in their files, and unless they are `whole` they are of
    this side and no other."""
    whole: bool = False
    """Whether it is a pack of whole pictures."""
    background: str | None = None
    """What a pack's transparent images were laid on."""
    interpolation: str | None = None
    """How a pack's images were resized."""
    held_out: int = 0
    """Images of a held-out part of its own."""
    notes: tuple[str, ...] = ()
    """What a person should know of it, each one sentence."""
    counts: Mapping[str, int] = field(default_factory=dict, compare=False)
    """Training images of each class; empty: taken as equal."""

    @property
    def smallest(self) -> tuple[str, int] | None:
        """The class with the fewest training images, and how many; None: not counted."""
        return min(self.counts.items(), key=itemgetter(1), default=None)


def survey(source: str, *, root: Path | None = None) -> Survey:
    """Counts what `hnas.data.load` would load under the same name.

    Image files are listed and some headers read; other sources are loaded as they are. Raises
    InputError if `load` would, apart from images that cannot be decoded.
    """
    found = listed(source, root)
    if found:
        return _files(found)
    counted = _source(read_source(source, root, Size(1, 1)))
    if given.NAME.fullmatch(source):
        side, channels = given.looks(source)
        return replace(counted, side=side, channels=channels)
    return counted


def _files(found: Listing) -> Survey:
    counts = Counter(found.classes[file.label] for file in found.train)
    sizes, colours = zip(*headers(found.train), strict=True)
    return Survey(
        images=len(found.train),
        classes=len(found.classes),
        side=round(statistics.median(map(min, sizes))),
        channels=3 if any(colours) else 1,
        own_test=found.test is not None,
        held_out=len(found.held_out),
        notes=found.notes,
        counts=counts,
    )


def _source(source: Source) -> Survey:
    pixels, images = source.train.pixels, len(source.train) - source.held_out
    counts = source.train.labels[:images].bincount(minlength=len(source.classes)).tolist()
    return Survey(
        images=images,
        classes=len(source.classes),
        side=min(pixels.shape[2:]),
        channels=pixels.shape[1],
        own_test=source.test is not None,
        packed=isinstance(pixels, OnDisk),
        whole=isinstance(pixels, OnDisk) and pixels.whole is not None,
        background=source.background,
        interpolation=source.interpolation,
        held_out=source.held_out,
        notes=source.notes,
        counts=dict(zip(source.classes, counts, strict=True)),
    )
