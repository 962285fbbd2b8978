"""Shards of a pack: each is one process's work, with bytes that depend only on the folder."""

import contextlib
import hashlib
import json
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import PIL

from hnas.data.hashing import hashes, to_hex
from hnas.data.on_disk import Rows
from hnas.data.sources.files import File, decoded, raw
from hnas.data.sources.pack_files import FORMATS, Index, Shard
from hnas.errors import HnasError
from hnas.persist.atomic import replacing, write_atomic


@dataclass(frozen=True)
class Job:
    """One shard to be made."""

    to: Path
    index: Index
    part: str
    name: str
    files: tuple[File, ...]
    skip_bad: bool
    check: bool = False
    """Whether the content of files is compared with what was packed, not only size and time."""


@dataclass(frozen=True, kw_only=True)
class Made:
    """A finished shard."""

    name: str
    digests: dict[str, str]
    """sha256 of its `pixels` and of its JSON file, the `record`."""
    images: int
    skipped: tuple[str, ...]
    """Files that were left out because they could not be decoded."""
    kept: bool
    """It was there already."""


def make(job: Job) -> Made:
    """The shard of a job: kept if it is there, else decoded. Raises InputError, OSError."""
    request = _request(job)
    path, pixels = job.to / f"{job.name}.json", job.to / f"{job.name}.u8"
    shard = _finished(job, request, path, pixels)
    if shard is not None:
        shard = _followed(job, shard, path)
    kept = shard is not None
    if shard is None:
        path.unlink(missing_ok=True)  # what it says is true no more
        shard = _decode(job, request, pixels)
        write_atomic(path, shard.to_json())
    record = hashlib.sha256(path.read_bytes()).hexdigest()
    digests, images = {"pixels": shard.sha256, "record": record}, len(shard.labels)
    return Made(name=job.name, digests=digests, images=images, skipped=shard.skipped, kept=kept)


def _finished(job: Job, request: str, path: Path, pixels: Path) -> Shard | None:
    """The shard, if it is there as it would be made now."""
    if not (path.exists() and pixels.exists()):
        return None
    with contextlib.suppress(HnasError):
        shard = Shard.from_json(path.read_bytes(), path, job.index)
        whole = pixels.stat().st_size == shard.nbytes(job.index)
        if whole and shard.request == request and (job.skip_bad or not shard.skipped):
            return shard
    return None


def _followed(job: Job, shard: Shard, path: Path) -> Shard | None:
    """The shard, if its files are those that it was made from: of the same time, or else of the
    same content, which it then says."""
    if not job.check and shard.times in ((), _times(job, shard)):
        return shard
    if _contents(job, shard) != shard.contents:
        return None
    shard = replace(shard, times=_times(job, shard))
    write_atomic(path, shard.to_json())
    return shard


def _in_order(job: Job, shard: Shard) -> list[File]:
    """The files of a shard, first those it has, then those that it left out."""
    known = {file_name(file.path, job.index.source): file for file in job.files}
    return [known[name] for name in (*shard.names, *shard.skipped)]


def _times(job: Job, shard: Shard) -> tuple[int, ...]:
    files = _in_order(job, shard)
    return tuple(os.stat(file.archive or file.path).st_mtime_ns for file in files)


def _contents(job: Job, shard: Shard) -> tuple[str, ...]:
    return tuple(
        hashlib.blake2b(raw(file), digest_size=8).hexdigest() for file in _in_order(job, shard)
    )


def _request(job: Job) -> str:
    """sha256 of all that the shard's bytes depend on and that needs no decoding."""
    index = job.index
    usual = {"white", "bilinear"}
    how = [way for way in (index.background, index.interpolation) if way not in usual]
    digest = hashlib.sha256(
        json.dumps([FORMATS[index.whole], index.image, index.channels, *how]).encode()
    )
    for file in job.files:
        size = file.size or os.stat(file.archive or file.path).st_size
        name = file_name(file.path, job.index.source)
        digest.update(f"{name}\0{file.label}\0{size}\0".encode())
    return digest.hexdigest()


def _decode(job: Job, request: str, to: Path) -> Shard:
    """Writes the pixels, image by image."""
    digest = hashlib.sha256()
    channels, whole = job.index.channels, job.index.whole
    names: list[str] = []
    labels: list[int] = []
    sums: list[Rows] = []
    squares: list[Rows] = []
    hashed: list[Rows] = []
    shapes: list[tuple[int, ...]] = []
    skipped: list[str] = []
    allowed = skipped if job.skip_bad else None
    with replacing(to) as file:
        for listed, one in decoded(job.files, job.index.size, allowed):
            pixels = one.contiguous().numpy()
            file.write(pixels.data)
            digest.update(pixels.data)
            values = pixels.astype(np.int64)
            values = values.reshape(-1, channels).T if whole else values.reshape(channels, -1)
            shapes.append(pixels.shape[:2])
            names.append(file_name(listed.path, job.index.source))
            labels.append(listed.label)
            sums.append(values.sum(axis=1))
            squares.append((values**2).sum(axis=1))
            hashed.append(hashes(pixels[None]))
    shard = Shard(
        request=request,
        sha256=digest.hexdigest(),
        decoder=f"Pillow {PIL.__version__}",
        names=tuple(names),
        labels=np.array(labels, dtype=np.int64),
        sums=np.array(sums, dtype=np.int64),
        squares=np.array(squares, dtype=np.int64),
        skipped=tuple(file_name(path, job.index.source) for path in skipped),
        hashes=to_hex(np.concatenate(hashed)) if hashed else "",
        shapes=to_hex(np.array(shapes, dtype=np.int64)) if whole else "",
    )
    return replace(shard, times=_times(job, shard), contents=_contents(job, shard))


def file_name(path: str, folder: str) -> str:
    """The name of a listed file within the folder."""
    return path.removeprefix(f"{folder}{os.sep}")
