"""Image files that a source lists, wherever they lie, and their pixels in memory."""

import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import torch

from hnas.data.decode import decode, known_formats, opened
from hnas.data.images import Images
from hnas.data.size import Size
from hnas.data.sources.rows import image_bytes, largest_group
from hnas.data.whole import picture
from hnas.errors import InputError
from hnas.machine import free_memory
from hnas.persist.atomic import read_regular
from hnas.persist.stand_in import stand_in

SUFFIXES: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
    "HEIF": (".heic", ".heif"),
}
"""The suffixes of image files, by Pillow's name of the format."""
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "F")
"""Pillow's names for images without colour."""
HEADERS = 200
"""Most headers that `headers` reads."""


class File(NamedTuple):
    """An image file and its class."""

    path: str
    """What it is called; where it lies, if `archive` is empty."""
    label: int
    archive: str = ""
    """The tar or Parquet file that holds it."""
    start: int = 0
    """Its first byte in a tar, its row in a Parquet file."""
    size: int = 0
    """Its bytes in a tar."""
    column: str = ""
    """Its column in a Parquet file."""


def suffixes() -> tuple[str, ...]:
    """The suffixes of the files that this Pillow reads."""
    known = known_formats()
    return tuple(suffix for name, some in SUFFIXES.items() if name in known for suffix in some)


def content(file: File) -> Any:
    """What Pillow opens: a path, or the bytes within an archive. Raises OSError, of a pipe too,
    which may never end."""
    if file.archive:
        return io.BytesIO(raw(file))
    if os.path.exists(file.path) and not os.path.isfile(file.path):
        raise OSError("it must be a regular file")
    return file.path


def raw(file: File) -> bytes:
    """The bytes of a file, also within an archive. Raises OSError."""
    if file.column:
        return image_bytes(file.archive, file.column, file.start)
    if not file.archive:
        return read_regular(Path(file.path))
    with open(file.archive, "rb") as source:
        source.seek(file.start)
        return source.read(file.size)


def read(file: File, size: Size) -> torch.Tensor:
    """uint8 (channels, image, image), or a picture as `picture` gives it if it stays whole. Raises
    InputError naming the file if it is no image."""
    try:
        if size.whole:
            return torch.from_numpy(picture(content(file), size))
        pixels = decode(content(file), **size.square)
    except MemoryError:
        raise
    # Decoders of broken files raise whatever they stumble over.
    except Exception as error:
        raise _unreadable(file, error) from error
    return torch.from_numpy(pixels).permute(2, 0, 1)


def decoded(
    files: Sequence[File], size: Size, skipped: list[str] | None
) -> Iterator[tuple[File, torch.Tensor]]:
    """Each file and its pixels, as `read` gives them. A file that is no image is added to
    `skipped`; without that it is an InputError that says what to do."""
    for file in files:
        try:
            pixels = read(file, size)
        except InputError as error:
            if skipped is None:
                raise InputError(
                    f"{error}. Remove it, or leave such files out: --skip-bad-images"
                ) from error
            skipped.append(file.path)
        else:
            yield file, pixels


def filled(
    parts: Sequence[Sequence[File]], size: Size, skipped: list[str] | None
) -> tuple[Images, list[int], list[str]]:
    """The images of the parts one behind the other, decoded into one array that is made before,
    how many each part has, and what they are called."""
    n = sum(map(len, parts))
    pixels = torch.empty((n, size.channels, size.image, size.image), dtype=torch.uint8)
    labels: list[int] = []
    counts, names = [], []
    for files in parts:
        before = len(labels)
        for file, one in decoded(files, size, skipped):
            pixels[len(labels)] = one
            labels.append(file.label)
            names.append(file.path)
        counts.append(len(labels) - before)
    images = Images(pixels=pixels[: len(labels)], labels=torch.tensor(labels, dtype=torch.int64))
    return images, counts, names


def check_memory(name: str, images: int, size: Size, *, folder: str = "", beside: int = 0) -> None:
    """Raises InputError if so many images, and so many bytes beside them, cannot be in memory:
    nothing is decoded before. `folder` is what can be packed, if that is not the name."""
    advice = (
        "Decode them once, into files that are read while training: "
        f"hnas data pack {folder or name} --to PACK {size.packing}; then give --data PACK"
    )
    ask(name, images, images * size.channels * size.image**2 + beside, advice)


def ask(name: str, images: int, needed: int, advice: str) -> None:
    """Raises InputError, with the advice, if this process cannot have so many bytes for images."""
    free = free_memory()
    if free is not None and needed > free:
        raise InputError(
            f"{name}: {images:,} images take {needed / 1e9:,.2f} GB decoded, this process can have "
            f"{free / 1e9:,.2f} GB of memory (of the machine, its container and ulimit -v, the "
            f"least). {advice}"
        )


def together(files: Iterable[File]) -> int:
    """Bytes of the rows of Parquet files that are read together, where most are."""
    return max(
        (largest_group(*one) for one in {(f.archive, f.column) for f in files if f.column}),
        default=0,
    )


def headers(files: Sequence[File]) -> list[tuple[tuple[int, int], bool]]:
    """(width, height) in pixels and whether there is colour, of up to HEADERS files, evenly spaced.

    One that is no image is left out: whether it may be is for `load` to say. Raises InputError
    naming the last of them if there is no other.
    """
    found = []
    broken: InputError | None = None
    for i in range(min(len(files), HEADERS)):
        file = files[i * len(files) // min(len(files), HEADERS)]
        try:
            with opened(content(file)) as one:
                found.append((one.size, one.mode not in GREY))
        except Exception as error:
            broken = _unreadable(file, error)
    if broken is not None and not found:
        raise broken
    return found


def _unreadable(file: File, error: Exception) -> InputError:
    said = ""
    with suppress(Exception):  # what cannot be read at all is told by `error`
        said = stand_in(raw(file))
    reason = f"it is {said}" if said else str(error)
    return InputError(f"{file.path}: not a readable image: {reason}")
