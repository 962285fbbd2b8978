"""A pack: the images of class folders, decoded once, as files that are read while training.

pack.json        how they were decoded, the classes, and every shard with its sha256
train-00000.u8   a shard: uint8 (C, H, W) of one image after the other, nothing else; of whole
                 pictures uint8 (H, W, C), each of its own size
train-00000.json its images: file names, labels, sums; what was left out
test-00000.u8    of the test part, if there is one; held_out-00000.u8 of a held-out part

A pack may be moved and copied. Its files are of one kind, so that a program of one's own can read
them: `numpy.memmap("train-00000.u8", "uint8").reshape(-1, C, H, W)`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from hnas.data.images import Images, Source
from hnas.data.on_disk import OnDisk
from hnas.data.sources.pack_files import INDEX, PARTS, Index, Shard, read_index, shard_name
from hnas.data.sources.read import inside
from hnas.data.whole import Whole
from hnas.errors import StateError
from hnas.machine import cores
from hnas.persist.atomic import read_regular

UNHASHED = (
    "this pack is of an older hnas, which kept no hashes of images: images that are in two of its "
    "parts are not looked for. Pack them in another folder to know"
)


def matches(folder: Path) -> bool:
    """True if the folder holds a pack, finished or not."""
    return (folder / INDEX).is_file()


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
            whole=self._whole(shards),
        )
        labels = np.concatenate([shard.labels for shard in shards])
        return Images(pixels=pixels, labels=torch.from_numpy(labels))

    def _whole(self, shards: Sequence[Shard]) -> Whole | None:
        if not self.index.whole:
            return None
        sizes = [shard.sizes for shard in shards]
        lengths = [self.index.channels * each.prod(axis=1) for each in sizes]
        starts = [each.cumsum() - each for each in lengths]
        return Whole(
            shapes=np.concatenate(sizes),
            starts=np.concatenate(starts),
            interpolation=self.index.interpolation,
        )

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
            crop_pct=None if self.index.whole else 1.0,
            test=self.images("test") if self.shards["test"] else None,
            classes=self.index.classes,
            skipped=tuple(name for part in PARTS for s in self.shards[part] for name in s.skipped),
            called=self._called,
        )

    def _called(self, number: int) -> str:
        """The file of an image of the training and the held-out part, read from its shard."""
        for part in ("train", "held_out"):
            for i, shard in enumerate(self.shards[part]):
                if number < len(shard.labels):
                    path = self.folder / f"{shard_name(part, i)}.json"
                    return Shard.from_json(read_regular(path), path, self.index).names[number]
                number -= len(shard.labels)
        raise IndexError(number)


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
    shard = Shard.from_json(data, path, index)
    shard = replace(shard, names=(), times=(), contents=())
    expected = shard.nbytes(index)
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
