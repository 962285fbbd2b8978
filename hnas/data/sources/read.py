"""Reading untrusted files: bounded, inside their folder, with errors that name them."""

import gzip
import lzma
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hnas.errors import InputError
from hnas.machine import free_memory
from hnas.persist.stand_in import HEAD, stand_in

LARGEST = 2**31
"""Most bytes of one unpacked file (the largest of the MNIST and CIFAR families has 0.6e9)."""
ROOM = 2**28
"""Bytes that a file may always have: of a system's caches nobody knows what it would give back."""
CHUNK = 2**20
OPENERS: Mapping[str, Any] = {"": open, ".gz": gzip.open, ".xz": lzma.open}
"""How to open a file, by the suffix that tells how it is packed."""


def inside(path: Path, folder: Path) -> Path:
    """`path`. Raises InputError if it leads out of `folder` (a link, or `..`)."""
    target = path.resolve()
    if not target.is_relative_to(folder.resolve()):
        raise InputError(
            f"{path}: files of a data set must lie in its folder {folder}, this one leads to "
            f"{target}. Copy it there"
        )
    return path


def find(folder: Path, *names: str) -> Path | None:
    """The first of these files that is there, plain before `.gz` before `.xz`."""
    paths = (folder / (name + suffix) for name in names for suffix in OPENERS)
    return next((inside(path, folder) for path in paths if path.is_file()), None)


def read(path: Path, *, largest: int | None = None) -> bytearray:
    """A file's bytes, unpacked by its suffix; never more than `largest` (LARGEST) are held, nor
    more than half of the memory that is left, if that is more than ROOM.

    Raises InputError, naming the file, if it is torn, unreadable or larger.
    """
    largest, free = LARGEST if largest is None else largest, free_memory()
    left = math.inf if free is None else max(ROOM, free // 2)
    content = bytearray()
    try:
        with open(path, "rb") as file:
            # What an empty file is, its reader knows.
            if (head := file.read(HEAD)) and (said := stand_in(head)):
                raise InputError(f"{path}: cannot be read, fetch it again: it is {said}")
        with OPENERS.get(path.suffix, open)(path, "rb") as file:
            while chunk := file.read(CHUNK):
                content += chunk
                if len(content) > largest:
                    raise InputError(
                        f"{path}: a file may have at most {largest:,} bytes unpacked, "
                        "this one has more"
                    )
                if len(content) > left:
                    raise InputError(
                        f"{path}: it has more than {left:,} bytes unpacked, half of the "
                        "memory that this process can have: use a larger machine, or fewer images"
                    )
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError(f"{path}: cannot be read, fetch it again: {error}") from error
    return content
