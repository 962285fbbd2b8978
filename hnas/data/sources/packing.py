"""Packing: class folders are decoded by all cores into the shards of a pack.

A shard is one process's work and is there whole or not at all; which images it holds depends on
the folder alone. So what a killed packing had finished is kept, the rest is made as it would have
been, and the bytes are the same by one process and by many. No process holds more than an image.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import PIL

from hnas.data.sources import folders
from hnas.data.sources.folders import Labelled, Listing
from hnas.data.sources.pack import (
    FORMAT,
    INDEX,
    PARTS,
    Index,
    Shard,
    matches,
    read_index,
    shard_name,
)
from hnas.errors import HnasError, InputError, StateError
from hnas.persist.atomic import remove_abandoned, replacing, write_atomic

SHARD_BYTES = 2**30
"""Most bytes of a shard: at 224 pixels and three channels 7,133 images."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A shard is finished."""

    images: int
    """In it."""
    done: int
    """Shards so far."""
    shards: int
    """In all."""
    kept: bool
    """Whether it was there already."""
    skipped: tuple[str, ...]
    """Files that were left out of it because they could not be decoded."""


def pack(
    folder: Path,
    to: Path,
    *,
    image: int,
    channels: int,
    skip_bad: bool = False,
    processes: int = 1,
    shard_bytes: int = SHARD_BYTES,
    on_shard: Callable[[Packed], None] = lambda packed: None,
) -> None:
    """Decodes the class folders in `folder` into a pack `to`, or goes on with it.

    The pixels are those that `folders.load` gives. What was finished is kept; a file that is
    missing, of another size or made from another file is made anew. Raises InputError naming an
    image that cannot be decoded (left out with `skip_bad`), or where `to` is another pack;
    StateError where the disk is too small.
    """
    if to.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"--to must not lie in the folder that is packed, {folder}, got {to}")
    found = folders.listing(folder)
    if found.test == []:
        raise InputError(f"{folder}: the test part needs images, got none")
    jobs = _jobs(folder, to, found, image, channels, skip_bad, shard_bytes)
    begun = Index(
        source=str(folder),
        image=image,
        channels=channels,
        classes=found.classes,
        files=_names_hash(folder, found),
    )
    with _disk_errors(to):
        _begin(to, begun)
        _check_room(to, sum(job.bytes for job in jobs), [f"{job.name}.u8" for job in jobs])
        records: dict[str, dict[str, str]] = {}
        with contextlib.closing(_all(jobs, processes)) as all_made:
            for made in all_made:
                records[made.name] = {"pixels": made.pixels, "record": made.record}
                on_shard(
                    Packed(
                        images=made.images,
                        done=len(records),
                        shards=len(jobs),
                        kept=made.kept,
                        skipped=made.skipped,
                    )
                )
        parts = {part: [records[j.name] for j in jobs if j.part == part] for part in PARTS}
        remove_abandoned(to.glob(".*.tmp"))
        write_atomic(to / INDEX, replace(begun, shards=parts).to_json())


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
        """Of its pixels, where every file is an image."""
        return len(self.files) * self.channels * self.image**2


@dataclass(frozen=True, kw_only=True)
class Made:
    """A shard that is there."""

    name: str
    pixels: str
    """sha256 of its pixels."""
    record: str
    """sha256 of its JSON file."""
    images: int
    skipped: tuple[str, ...]
    kept: bool
    """Whether it was there already."""


def _jobs(
    folder: Path,
    to: Path,
    found: Listing,
    image: int,
    channels: int,
    skip_bad: bool,
    shard_bytes: int,
) -> list[Job]:
    each = max(1, shard_bytes // (channels * image**2))
    return [
        Job(
            folder=folder,
            to=to,
            part=part,
            name=shard_name(part, number),
            files=tuple(files[at : at + each]),
            image=image,
            channels=channels,
            skip_bad=skip_bad,
        )
        for part, files in (("train", found.train), ("test", found.test or []))
        for number, at in enumerate(range(0, len(files), each))
    ]


def _name(path: str, folder: Path) -> str:
    """Of a listed file within the folder."""
    return path.removeprefix(f"{folder}{os.sep}")


def _names_hash(folder: Path, found: Listing) -> str:
    """sha256 of the names and labels alone: to look at a million files takes minutes."""
    digest = hashlib.sha256()
    for files in (found.train, found.test or []):
        digest.update(f"{len(files)};".encode())
        for path, label in files:
            digest.update(f"{_name(path, folder)}\0{label}\0".encode())
    return digest.hexdigest()


def _begin(to: Path, asked: Index) -> None:
    """Makes the folder, or finds in it what was begun before."""
    if not matches(to):
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise InputError(f"{to} is no pack and not empty: give --to a new or an empty folder")
        to.mkdir(parents=True, exist_ok=True)
        write_atomic(to / INDEX, asked.to_json())
        return
    remove_abandoned(to.glob(".*.tmp"))
    begun = read_index(to)
    for name, said in (
        ("image", "images of {} pixels a side"),
        ("channels", "images of {} channels"),
        ("classes", "the classes {}"),
        ("files", "files whose names have the sha256 {}"),
    ):
        was, now = getattr(begun, name), getattr(asked, name)
        if was != now:
            raise InputError(
                f"{to} was begun with {said.format(was)}, now asked for are {now}. "
                "Give --to another folder, or delete this one"
            )


def _check_room(to: Path, needed: int, files: list[str]) -> None:
    """Raises StateError where the disk has not the bytes that are still to be written."""
    there = sum(os.stat(to / name).st_size for name in files if (to / name).exists())
    free = shutil.disk_usage(to).free
    if needed - there > free:
        raise StateError(
            f"the images take {needed / 1e9:,.2f} GB in {to}, of which {there / 1e9:,.2f} GB are "
            f"there; its disk has {free / 1e9:,.2f} GB free. Free some, choose another --to, or a "
            "smaller --image"
        )


@contextlib.contextmanager
def _disk_errors(to: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        remove_abandoned(to.glob(".*.tmp"))
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StateError(
            f"{error.filename or to}: {error.strerror or error}. The shards that are finished are "
            f"kept; {'free some space' if full else 'mend that'} and run the same command again"
        ) from None


def _all(jobs: list[Job], processes: int) -> Generator[Made]:
    """Every job done, in the order that they end."""
    if processes == 1:
        yield from map(make, jobs)
        return
    # Forked from a process that has imported torch and done nothing: once, not once a process.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ended, end = context.Pipe(duplex=False)
    try:
        with (
            ended,
            end,
            ProcessPoolExecutor(
                min(processes, len(jobs)), context, initializer=_live_with, initargs=(ended,)
            ) as pool,
        ):
            futures = [pool.submit(make, job) for job in jobs]
            try:
                for future in as_completed(futures):
                    yield future.result()
            except BaseException:
                end.close()  # or an error would wait until all shards that are begun are done
                pool.shutdown(cancel_futures=True)
                raise
    except BrokenProcessPool:
        raise StateError(
            "a process that decodes images was killed, by lack of memory perhaps. The shards that "
            "are finished are kept; run the same command again, with fewer --processes"
        ) from None
    finally:
        remove_abandoned(jobs[0].to.glob(".*.tmp"))


def _live_with(parent: Connection) -> None:
    """A process that packs ends with the one that it packs for, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to answer

    def wait() -> None:
        with contextlib.suppress(EOFError, OSError):
            parent.recv()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def make(job: Job) -> Made:
    """The shard of a job: as it is there, else decoded. Raises InputError, OSError."""
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
    """sha256 of all that the shard's bytes depend on, as far as it is seen without decoding."""
    digest = hashlib.sha256(json.dumps([FORMAT, job.image, job.channels]).encode())
    for path, label in job.files:
        size = os.stat(path).st_size
        digest.update(f"{_name(path, job.folder)}\0{label}\0{size}\0".encode())
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
            names.append(_name(path, job.folder))
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
        skipped=tuple(_name(path, job.folder) for path in skipped),
    )
