"""The JSON files of a pack: `pack.json` (Index), and one a shard (Shard)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hnas.data.hashing import from_hex
from hnas.data.on_disk import Rows
from hnas.data.pixels import CHANNELS
from hnas.data.size import Size
from hnas.errors import InputError, StateError
from hnas.persist.atomic import read_regular
from hnas.persist.record import later, recorded, restored

FORMAT = "hnas pack 1"
FORMATS = {False: FORMAT, True: "hnas pack 2"}
"""By whether pictures are whole: an hnas that knows no such pictures refuses them."""
INDEX = "pack.json"
PARTS = ("train", "held_out", "test")
DAMAGED = (ValueError, TypeError, KeyError, AttributeError, RecursionError, InputError)
"""Raised by JSON that is none of ours."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A shard's record, its own JSON file."""

    request: str
    """sha256 of what it was made from: files with their sizes and labels, size of the images."""
    sha256: str
    """Of the pixels."""
    decoder: str
    """The library that decoded, and its version."""
    names: tuple[str, ...]
    """The files in the source's folder, one for each image."""
    labels: Rows
    """(images,)"""
    sums: Rows
    """(images, C): of each image's values."""
    squares: Rows
    """(images, C): of each image's squared values."""
    skipped: tuple[str, ...]
    """Files that were left out because they could not be decoded."""
    times: tuple[int, ...] = later(())
    """When each file was written (ns), first of `names`, then of `skipped`; empty: not recorded."""
    contents: tuple[str, ...] = later(())
    """Of each of these files, a hash of its bytes."""
    hashes: str = later("")
    """Hash of each image's pixels, as `hnas.data.hashing.to_hex` has it; empty in older packs."""
    shapes: str = later("")
    """H and W of each whole picture, as `to_hex` has them; empty: squares."""

    @property
    def sizes(self) -> Rows:
        """(images, 2): H and W of each whole picture."""
        return from_hex(self.shapes).reshape(len(self.labels), 2)

    def nbytes(self, index: Index) -> int:
        """Of its pixels."""
        if index.whole:
            return index.channels * int(self.sizes.prod(axis=1).sum())
        return len(self.labels) * index.bytes_an_image

    @property
    def hashed(self) -> Rows:
        """(images,): the hash of each image's pixels; in older packs by its place in the shard."""
        if self.hashes:
            return from_hex(self.hashes)
        first = np.array([int(self.sha256[:15], 16)])
        return first + np.arange(len(self.labels))

    def to_json(self) -> bytes:
        return json.dumps(recorded(self)).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes, path: Path, index: Index) -> Shard:
        """The inverse of `to_json`, of a pack's shard. Raises StateError naming the file."""
        try:
            shard = restored(cls, json.loads(data))
            n = len(shard.names)
            if len(shard.hashed) != n:
                raise ValueError(f"{len(shard.hashed)} hashes of {n} images")
            if index.whole and (shard.sizes < 1).any():
                raise ValueError("pictures need at least a pixel")
            return replace(
                shard,
                labels=shard.labels.reshape(n),
                sums=shard.sums.reshape(n, index.channels),
                squares=shard.squares.reshape(n, index.channels),
            )
        except DAMAGED as error:
            raise StateError(f"{path}: {not_whole(error)}") from None


@dataclass(frozen=True, kw_only=True)
class Index:
    """pack.json."""

    source: str
    """The folder that was packed, as it was named."""
    image: int
    """Pixels a side; if `whole`, most of the shorter side."""
    channels: int
    classes: tuple[str, ...]
    files: str
    """sha256 of the names of all files that were to be packed."""
    shards: Mapping[str, tuple[Mapping[str, str], ...]] | None = None
    """Of each part, the sha256 of each shard's `pixels` and `record`; None until it is finished."""
    background: str = later("white")
    """What transparent images were laid on."""
    interpolation: str = later("bilinear")
    """How images were resized."""
    notes: tuple[str, ...] = later(())
    """What a person should know of the source, each one sentence."""
    place: str = later("")
    """Where the source lay, as an absolute path."""
    whole: bool = later(False)
    """Whether pictures are whole, each of its own size, not cut to squares."""

    @property
    def size(self) -> Size:
        how = (self.background, self.interpolation)
        return Size(self.image, self.channels, *how, whole=self.whole)

    @property
    def bytes_an_image(self) -> int:
        """If `whole`, of a picture of 4 : 3."""
        return self.channels * self.image**2 * (4 if self.whole else 3) // 3

    def to_json(self) -> bytes:
        return (
            json.dumps({"format": FORMATS[self.whole], **recorded(self)}, indent=1).encode() + b"\n"
        )


def read_index(folder: Path) -> Index:
    """The index of a pack, finished or not. Raises StateError if there is none that can be read."""
    path = folder / INDEX
    try:
        value = json.loads(read_regular(path))
        if (found := value.pop("format")) not in FORMATS.values():
            raise ValueError(f"its format is {found!r}, known is {' and '.join(FORMATS.values())}")
        index = restored(Index, value)
        if index.image < 1 or index.channels not in CHANNELS or found != FORMATS[index.whole]:
            raise ValueError(f"{found}, image={index.image}, channels={index.channels}")
        if index.shards is not None:
            # A source without a held-out part of its own has none here.
            every = {part: index.shards.get(part, ()) for part in PARTS}
            for part, shards in every.items():
                if any({*shard} != {"pixels", "record"} for shard in shards):
                    raise ValueError(f"its shards of {part} are {shards}")
            return replace(index, shards=every)
        return index
    except (OSError, *DAMAGED) as error:
        raise StateError(f"{path}: {not_whole(error)}") from None


def not_whole(error: Exception) -> str:
    return (
        f"is not what hnas data pack wrote ({type(error).__name__}: {error}). Restore it, or pack "
        "the images again in another folder"
    )


def shard_name(part: str, number: int) -> str:
    """The name of a shard's files, without suffix."""
    return f"{part}-{number:05}"
