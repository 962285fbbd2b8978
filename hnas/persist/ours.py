"""Files of hnas among files of others: what hnas did not write is replaced only by `force`."""

from collections.abc import Callable, Mapping
from pathlib import Path

from hnas.errors import InputError
from hnas.persist.atomic import write_all

MARK = b"written by hnas"
"""What a page or a picture of hnas has in it: the next one may take its place."""


def is_marked(path: Path, data: bytes) -> bool:
    """Whether the contents of a file have the mark."""
    return MARK in data


def write_ours(
    files: Mapping[Path, bytes],
    *,
    to: object,
    force: bool | None = False,
    ours: Callable[[Path, bytes], bool] = is_marked,
) -> None:
    """Writes all files or none, as `write_all`; `to` is what they were asked for by.

    Without `force` (None: it cannot be asked for) a file that is there stays, unless it has these
    bytes or is one of `ours`, by its path and contents. Raises InputError if one stays, or if they
    cannot be written.
    """
    try:
        kept = [path for path, data in files.items() if not _may_write(path, data, force, ours)]
        if kept:
            be, them = ("is", "it") if len(kept) == 1 else ("are", "them")
            way = f"move {them} away" if force is None else f"--force to replace {them}"
            raise InputError(
                f"--to {to}: {', '.join(map(str, kept))} {be} there, with something else than this "
                f"would write. Give another name, or {way}"
            )
        write_all(files)
    except OSError as error:
        folder = next(iter(files)).parent
        raise InputError(
            f"--to {to}: {folder} cannot be written: {error.strerror}. "
            "Name a file in a folder that exists and has room"
        ) from None


def _may_write(
    path: Path, data: bytes, force: bool | None, ours: Callable[[Path, bytes], bool]
) -> bool:
    if not path.exists():
        return True
    if not path.is_file():  # a folder, a device
        return False
    if force:
        return True
    found = path.read_bytes()
    return found == data or ours(path, found)
