"""A pack: the images of class folders, decoded once, as files that are read while training.

pack.json        how they were decoded, the classes, and every shard with its sha256
train-00000.u8   a shard: uint8 (C, H, W) of one image after the other, nothing else
train-00000.json its images: file names, labels, sums; what was left out
test-00000.u8    of the test part, if there is one; held_out-00000.u8 of a held-out part

A pack may be moved and copied. Its files are of one kind, so that a program of one's own can read
them: `numpy.memmap("train-00000.u8", "uint8").reshape(-1, C, H, W)`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from hnas.data.hashing import from_hex
from hnas.data.images import Images, Source
from hnas.data.on_disk import OnDisk, Rows
from hnas.data.pixels import CHANNELS
from hnas.data.size import Size
from hnas.data.sources.read import inside
from hnas.errors import InputError, StateError
from hnas.machine import cores
from hnas.persist.atomic import read_regular
from hnas.persist.record import later, recorded, restored

FORMAT = "hnas pack 1"
INDEX = "pack.json"
PARTS = ("train", "held_out", "test")
DAMAGED = (ValueError, TypeError, KeyError, AttributeError, RecursionError, InputError)
"""Raised by JSON that is none of ours."""
UNHASHED = (
    "this pack is of an older hnas, which kept no hashes of images: images that are in two of its "
    "parts are not looked for. Pack them in another folder to know"
)


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
    def from_json(cls, data: bytes, path: Path, channels: int) -> Shard:
        """The inverse of `to_json`. Raises StateError naming the file."""
        try:
            shard = restored(cls, json.loads(data))
            n = len(shard.names)
            if len(shard.hashed) != n:
                raise ValueError(f"{len(shard.hashed)} hashes of {n} images")
            return replace(
                shard,
                labels=shard.labels.reshape(n),
                sums=shard.sums.reshape(n, channels),
                squares=shard.squares.reshape(n, channels),
            )
        except DAMAGED as error:
            raise StateError(f"{path}: {_not_whole(error)}") from None


@dataclass(frozen=True, kw_only=True)
class Index:
    """pack.json."""

    source: str
    """The folder that was packed, as it was named."""
    image: int
    """Pixels a side."""
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

    @property
    def size(self) -> Size:
        return Size(self.image, self.channels, self.background, self.interpolation)

    @property
    def bytes_an_image(self) -> int:
        return self.channels * self.image**2

    def to_json(self) -> bytes:
        return json.dumps({"format": FORMAT, **recorded(self)}, indent=1).encode() + b"\n"


def matches(folder: Path) -> bool:
    """True if the folder holds a pack, finished or not."""
    return (folder / INDEX).is_file()


def read_index(folder: Path) -> Index:
    """The index of a pack, finished or not. Raises StateError if there is none that can be read."""
    path = folder / INDEX
    try:
        value = json.loads(read_regular(path))
        if (found := value.pop("format")) != FORMAT:
            raise ValueError(f"its format is {found!r}, known is {FORMAT!r}")
        index = restored(Index, value)
        if index.image < 1 or index.channels not in CHANNELS:
            raise ValueError(f"image={index.image}, channels={index.channels}")
        if index.shards is not None:
            # A source without a held-out part of its own has none here.
            every = {part: index.shards.get(part, ()) for part in PARTS}
            for part, shards in every.items():
                if any({*shard} != {"pixels", "record"} for shard in shards):
                    raise ValueError(f"its shards of {part} are {shards}")
            return replace(index, shards=every)
        return index
    except (OSError, *DAMAGED) as error:
        raise StateError(f"{path}: {_not_whole(error)}") from None


def _not_whole(error: Exception) -> str:
    return (
        f"is not what hnas data pack wrote ({type(error).__name__}: {error}). Restore it, or pack "
        "the images again in another folder"
    )


def shard_name(part: str, number: int) -> str:
    """The name of a shard's files, without suffix."""
    return f"{part}-{number:05}"


@dataclass(frozen=True, kw_only=True)
class Pack:
    """A finished pack, without its pixels."""

    folder: Path
    index: Index
    shards: Mapping[str, tuple[Shard, ...]]
    """By part; the test part has none if the source had no test part."""

    def images(self, *parts: str) -> Images:
        """The images of one part or of several, left in their files."""
        shards = [shard for part in parts for shard in self.shards[part]]
        names = [shard_name(part, i) for part in parts for i in range(len(self.shards[part]))]
        counts = [len(shard.labels) for shard in shards]
        pixels = OnDisk(
            files=tuple(self.folder / f"{name}.u8" for name in names),
            starts=np.cumsum([0, *counts]),
            image=(self.index.channels, self.index.image, self.index.image),
            sums=np.concatenate([shard.sums for shard in shards]),
            squares=np.concatenate([shard.squares for shard in shards]),
            rows=np.arange(sum(counts)),
            device=torch.device("cpu"),
            hashed=np.concatenate([shard.hashed for shard in shards]),
        )
        labels = np.concatenate([shard.labels for shard in shards])
        return Images(pixels=pixels, labels=torch.from_numpy(labels))

    def source(self) -> Source:
        """The pack as a data source. Raises InputError if a class has no image."""
        hashed = all(shard.hashes for shards in self.shards.values() for shard in shards)
        return Source(
            name=str(self.folder),
            train=self.images("train", "held_out"),
            held_out=sum(len(shard.labels) for shard in self.shards["held_out"]),
            notes=(*self.index.notes, *(() if hashed else (UNHASHED,))),
            background=self.index.background,
            interpolation=self.index.interpolation,
            test=self.images("test") if self.shards["test"] else None,
            classes=self.index.classes,
            skipped=tuple(name for part in PARTS for s in self.shards[part] for name in s.skipped),
        )


def open_pack(folder: Path) -> Pack:
    """A finished pack. Its records and the sizes of its files are checked; `check` checks pixels.

    Raises StateError naming the file that is missing, torn or another one, or if it is unfinished
    or without training images.
    """
    index = read_index(folder)
    if index.shards is None:
        raise StateError(
            f"the pack {folder} is not finished. Finish it: hnas data pack, as it was begun"
        )
    shards = {
        part: tuple(
            _open_shard(folder, shard_name(part, i), record["record"], index)
            for i, record in enumerate(index.shards[part])
        )
        for part in PARTS
    }
    if not any(len(shard.labels) for shard in shards["train"]):
        left = sum(len(shard.skipped) for part in PARTS for shard in shards[part])
        raise StateError(
            f"{folder / INDEX}: a pack needs training images, this one has none "
            f"({left:,} files were left out when it was made). Pack the images again, in another "
            "folder"
        )
    return Pack(folder=folder, index=index, shards=shards)


def _open_shard(folder: Path, name: str, sha256: str, index: Index) -> Shard:
    path, pixels = folder / f"{name}.json", folder / f"{name}.u8"
    try:
        data = read_regular(inside(path, folder))
        size = os.stat(inside(pixels, folder)).st_size
    except OSError as error:
        raise StateError(f"{error.filename}: {error.strerror}. {_mend(folder)}") from None
    if hashlib.sha256(data).hexdigest() != sha256:
        raise StateError(f"{path}: is not the one that {INDEX} names. {_mend(folder)}")
    # A million names would be a hundred megabytes, and nothing that trains asks for them.
    shard = Shard.from_json(data, path, index.channels)
    shard = replace(shard, names=(), times=(), contents=())
    expected = len(shard.labels) * index.bytes_an_image
    if size != expected:
        raise StateError(
            f"{pixels}: {len(shard.labels):,} images are {expected:,} bytes, it has {size:,}. "
            f"{_mend(folder)}"
        )
    return shard


def _mend(folder: Path) -> str:
    return (
        "Restore it, or run hnas data pack again as it was begun: what is missing in "
        f"{folder} or of another size is made again"
    )


def check(pack: Pack) -> Iterator[tuple[str, bool]]:
    """Every shard's file by name, with True if its pixels are those that were written."""

    def same(part: str, number: int) -> tuple[str, bool]:
        path = pack.folder / f"{shard_name(part, number)}.u8"
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise StateError(f"{path} cannot be read: {error.strerror}") from None
        return path.name, found == pack.shards[part][number].sha256

    every = [(part, i) for part in PARTS for i in range(len(pack.shards[part]))]
    with ThreadPoolExecutor(cores()) as pool:
        yield from pool.map(same, *zip(*every, strict=True))
