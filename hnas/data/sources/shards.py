"""Shards of a pack: each is one process's work, with bytes that depend only on the folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL

from hnas.data.sources import folders
from hnas.data.sources.folders import Labelled
from hnas.data.sources.pack import FORMAT, Shard
from hnas.errors import HnasError
from hnas.persist.atomic import replacing, write_atomic


@dataclass(frozen=True, kw_only=True)
class Job:
    """One shard to be made."""

    folder: Path
    to: Path
    part: str
    name: str
    files: tuple[Labelled, ...]
    image: int
    channels: int
    skip_bad: bool

    @property
    def bytes(self) -> int:
        """Bytes of its pixels, if every file is an image."""
        return len(self.files) * self.channels * self.image**2


@dataclass(frozen=True, kw_only=True)
class Made:
    """A finished shard."""

    name: str
    pixels: str
    """sha256 of its pixels."""
    record: str
    """sha256 of its JSON file."""
    images: int
    skipped: tuple[str, ...]
    """Files that were left out because they could not be decoded."""
    kept: bool
    """It was there already."""


def make(job: Job) -> Made:
    """The shard of a job: kept if it is there, else decoded. Raises InputError, OSError."""
    request = _request(job)
    path, pixels = job.to / f"{job.name}.json", job.to / f"{job.name}.u8"
    if path.exists() and pixels.exists():
        with contextlib.suppress(HnasError):
            data = path.read_bytes()
            shard = Shard.from_json(data, path, job.channels)
            size = len(shard.labels) * job.channels * job.image**2
            if (
                shard.request == request
                and pixels.stat().st_size == size
                and (job.skip_bad or not shard.skipped)
            ):
                return _made(job, shard, data, kept=True)
    path.unlink(missing_ok=True)  # what it says is true no more
    shard = _decode(job, request, pixels)
    data = shard.to_json()
    write_atomic(path, data)
    return _made(job, shard, data, kept=False)


def _made(job: Job, shard: Shard, data: bytes, *, kept: bool) -> Made:
    record = hashlib.sha256(data).hexdigest()
    return Made(
        name=job.name,
        pixels=shard.sha256,
        record=record,
        images=len(shard.labels),
        skipped=shard.skipped,
        kept=kept,
    )


def _request(job: Job) -> str:
    """sha256 of all that the shard's bytes depend on and that needs no decoding."""
    digest = hashlib.sha256(json.dumps([FORMAT, job.image, job.channels]).encode())
    for path, label in job.files:
        size = os.stat(path).st_size
        digest.update(f"{file_name(path, job.folder)}\0{label}\0{size}\0".encode())
    return digest.hexdigest()


def _decode(job: Job, request: str, to: Path) -> Shard:
    """Writes the pixels, image by image."""
    digest = hashlib.sha256()
    names: list[str] = []
    labels: list[int] = []
    sums: list[list[int]] = []
    squares: list[list[int]] = []
    skipped: list[str] = []
    with replacing(to) as file, folders.tolerant():
        for path, label in job.files:
            decoded = folders.decode_or_skip(
                path,
                skipped if job.skip_bad else None,
                image=job.image,
                channels=job.channels,
            )
            if decoded is None:
                continue
            pixels = decoded.contiguous().numpy()
            file.write(pixels.data)
            digest.update(pixels.data)
            values = pixels.reshape(job.channels, -1).astype(np.int64)
            names.append(file_name(path, job.folder))
            labels.append(label)
            sums.append(values.sum(axis=1).tolist())
            squares.append((values**2).sum(axis=1).tolist())
    return Shard(
        request=request,
        sha256=digest.hexdigest(),
        decoder=f"Pillow {PIL.__version__}",
        names=tuple(names),
        labels=np.array(labels, dtype=np.int64),
        sums=np.array(sums, dtype=np.int64),
        squares=np.array(squares, dtype=np.int64),
        skipped=tuple(file_name(path, job.folder) for path in skipped),
    )


def file_name(path: str, folder: Path) -> str:
    """The name of a listed file within the folder."""
    return path.removeprefix(f"{folder}{os.sep}")
