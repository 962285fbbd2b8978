"""Packing: image files are decoded by all cores into the shards of a pack.

One process makes a shard, which is there whole or not at all. Its images depend only on the folder.
So the finished shards of a killed packing are kept, and the bytes are the same by one process and
by many. No process holds more than an image.
"""

import contextlib
import errno
import hashlib
import math
import multiprocessing
import os
import shutil
import signal
import statistics
import threading
from collections.abc import Callable, Collection, Generator, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

from hnas.data.decode import proportions
from hnas.data.size import Size
from hnas.data.sources.files import headers
from hnas.data.sources.listing import Listing
from hnas.data.sources.pack import matches
from hnas.data.sources.pack_files import INDEX, PARTS, Index, read_index, shard_name
from hnas.data.sources.shards import Job, Made, file_name, make
from hnas.errors import InputError, StateError
from hnas.persist.atomic import remove_abandoned, write_atomic

SHARD_BYTES = 2**30
"""Most bytes of a shard: at 224 pixels and three channels 7,133 images."""


def pack(
    found: Listing,
    to: Path,
    size: Size,
    *,
    skip_bad: bool = False,
    check: bool = False,
    processes: int = 1,
    shard_bytes: int = SHARD_BYTES,
    on_shard: Callable[[Made, int, int], None] = lambda made, done, shards: None,
) -> None:
    """Decodes the files that a source lists into a pack `to`, or continues it.

    The pixels are those that `Listing.load` gives, or `picture`, if they stay whole. What was
    finished is kept; a shard that is missing or torn, or whose image files are new, gone, or of
    another size or time with another content, is made again. With `check` the content counts
    whatever the time.

    Raises InputError naming an image that cannot be decoded (left out with `skip_bad`), or if `to`
    is another pack; StateError if the disk is too small.
    """
    if to.resolve().is_relative_to(Path(found.name).resolve()):
        raise InputError(f"--to must not lie in the folder that is packed, {found.name}, got {to}")
    begun = Index(
        source=found.name,
        image=size.image,
        channels=size.channels,
        classes=found.classes,
        files=_names_hash(found),
        background=size.background,
        interpolation=size.interpolation,
        notes=found.notes,
        place=str(Path(found.name).resolve()),
        whole=size.whole,
    )
    jobs = _jobs(begun, found, Job(to, begun, "", "", (), skip_bad, check), shard_bytes)
    with _disk_errors(to):
        _begin(to, begun)
        _check_room(to, _needed(found, begun), begun, [f"{job.name}.u8" for job in jobs])
        records: dict[str, dict[str, str]] = {}
        with contextlib.closing(_all(jobs, processes)) as all_made:
            for made in all_made:
                records[made.name] = made.digests
                on_shard(made, len(records), len(jobs))
        parts = {p: tuple(records[j.name] for j in jobs if j.part == p) for p in PARTS}
        parts = {p: shards for p, shards in parts.items() if shards or p != "held_out"}
        write_atomic(to / INDEX, replace(begun, shards=parts).to_json())
        _remove_others(to, records)


def _jobs(index: Index, found: Listing, job: Job, shard_bytes: int) -> list[Job]:
    each = max(1, shard_bytes // index.bytes_an_image)
    return [
        replace(job, part=part, name=shard_name(part, i), files=tuple(files[at : at + each]))
        for part, files in zip(PARTS, found.parts, strict=True)
        for i, at in enumerate(range(0, len(files), each))
    ]


def _names_hash(found: Listing) -> str:
    """sha256 of the names and labels only: opening a million files takes minutes."""
    digest = hashlib.sha256()
    train, held_out, test = found.parts
    for files in (train, held_out, test) if held_out else (train, test):
        digest.update(f"{len(files)};".encode())
        for file in files:
            digest.update(f"{file_name(file.path, found.name)}\0{file.label}\0".encode())
    return digest.hexdigest()


def _begin(to: Path, asked: Index) -> None:
    """Makes the folder, or finds in it what was begun before."""
    remove_abandoned(to.glob(".*.tmp"))  # a kill may have left nothing else
    if not matches(to):
        if to.exists() and (not to.is_dir() or any(to.iterdir())):
            raise InputError(f"{to} is no pack and not empty: give --to a new or an empty folder")
        to.mkdir(parents=True, exist_ok=True)
        write_atomic(to / INDEX, asked.to_json())
        return
    begun = read_index(to)
    fixed = {
        "image": "images of {} pixels a side",
        "channels": "images of {} channels",
        "background": "transparent images laid on {}",
        "interpolation": "images resized by {}",
        "whole": "whole pictures: {}",
    }
    if begun.place != asked.place:  # the same folder may have changed, and is followed
        fixed |= {"classes": "the classes {}", "files": "files whose names have the sha256 {}"}
    for name, said in fixed.items():
        was, now = getattr(begun, name), getattr(asked, name)
        if was != now:
            raise InputError(
                f"{to} was begun with {said.format(was)}, you asked for {now}. "
                "Give --to another folder, or delete this one"
            )
    if (begun.classes, begun.files) != (asked.classes, asked.files):
        write_atomic(to / INDEX, asked.to_json())  # unfinished: its shards are of other files


def _remove_others(to: Path, made: Collection[str]) -> None:
    """Removes shards that the pack does not have any more."""
    for part in PARTS:
        for path in to.glob(f"{part}-[0-9]*.*"):
            if path.suffix in (".u8", ".json") and path.stem not in made:
                path.unlink()


def _needed(found: Listing, index: Index) -> int:
    """Bytes of all pixels; of whole pictures by the headers of some."""
    files, each = [file for part in found.parts for file in part], float(index.bytes_an_image)
    if index.whole:
        with contextlib.suppress(InputError):  # what is no image is told when it is decoded
            sizes = [proportions(sides, min(index.image, *sides))[1] for sides, _ in headers(files)]
            each = index.channels * statistics.mean(map(math.prod, sizes))
    return round(len(files) * each)


def _check_room(to: Path, needed: int, index: Index, files: list[str]) -> None:
    """Raises StateError if the disk has not the bytes that are still to be written."""
    there = sum(os.stat(to / name).st_size for name in files if (to / name).exists())
    free = shutil.disk_usage(to).free
    if needed - there > free:
        raise StateError(
            f"the images take {needed / 1e9:,.2f} GB in {to}, of which {there / 1e9:,.2f} GB are "
            f"there; its disk has {free / 1e9:,.2f} GB free. Free some, choose another --to, or a "
            f"smaller {index.size.packing.split()[0]}"
        )


@contextlib.contextmanager
def _disk_errors(to: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise StateError(
            f"{error.filename or to}: {error.strerror or error}. The shards that are finished are "
            f"kept; {'free some space' if full else 'mend that'} and run the same command again"
        ) from None


def _all(jobs: list[Job], processes: int) -> Generator[Made]:
    """Every job done, in the order that they end; what killed processes left goes in any case."""
    try:
        yield from map(make, jobs) if processes == 1 else _by_processes(jobs, processes)
    finally:
        remove_abandoned(jobs[0].to.glob(".*.tmp"))


def _by_processes(jobs: list[Job], processes: int) -> Generator[Made]:
    # Forked from a process that has imported torch and done nothing: once, not once a process.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    ended, end = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(min(processes, len(jobs)), context, _live_with, (ended,))
    try:
        with ended, end, pool:
            try:
                for future in as_completed([pool.submit(make, job) for job in jobs]):
                    yield future.result()
            except BaseException:
                end.close()  # ends the workers: neither shards that are begun nor one that starts
                # while Ctrl-C is pressed, and is never told to end, are waited for
                pool.shutdown(cancel_futures=True)
                raise
    except BrokenProcessPool:
        raise StateError(
            "a process that decodes images was killed, by lack of memory perhaps. The shards that "
            "are finished are kept; run the same command again, with fewer --processes"
        ) from None


def _live_with(parent: Connection) -> None:
    """Ends this process with its parent, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent to answer

    def wait() -> None:
        with contextlib.suppress(EOFError, OSError):
            parent.recv()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
