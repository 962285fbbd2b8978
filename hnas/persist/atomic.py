"""Atomic files: a file is there whole or not at all."""

import contextlib
import errno
import glob
import os
import re
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

TEMPORARY = re.compile(r"\..+\.(\d+)(-[0-9a-f]{8})?\.tmp")
"""How a file is called until it is whole: by its own name, the process that writes it, and chance,
so that nobody can put a link there first."""


def write_atomic(path: Path, data: bytes) -> None:
    """Replaces a file: at any instant it is the old or the new. Raises OSError as `replacing`."""
    with replacing(path) as file:
        file.write(data)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A temporary file to write to, which is synced and takes the place of `path` in the end.

    Raises OSError if the folder cannot be written; the old file is untouched then, as it is
    if anything is raised within.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    remove_abandoned(path.parent.glob(f".{glob.escape(path.name)}.*.tmp"))
    try:
        with temporary.open("xb") as file:  # exclusive: nothing that is there is written to
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "nt":  # where a folder cannot be opened
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def read_regular(path: Path, most: int | None = None) -> bytes:
    """The bytes of a file. Raises OSError if it is none, as a pipe, which may never end, or if it
    has more than `most`."""
    without_waiting = getattr(os, "O_NONBLOCK", 0)  # Windows has no pipes among files
    with open(
        path, "rb", opener=lambda name, flags: os.open(name, flags | without_waiting)
    ) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it must be a regular file", str(path))
        data = file.read(-1 if most is None else most + 1)
    if most is not None and len(data) > most:
        raise OSError(errno.EFBIG, f"it may have at most {most:,} bytes, it has more", str(path))
    return data


def write_all(files: Mapping[Path, bytes]) -> None:
    """Writes several files, all or none: they take their places, in order, once all are whole.

    The last one says what the others are. If it is to be replaced by another, it goes first, so
    that a process that is killed in between leaves nothing that reads as whole. Raises OSError.
    """
    new = [path for path in files if not path.exists()]
    *_, last = files
    try:
        with contextlib.ExitStack() as stack:
            for path, data in reversed([*files.items()]):  # the last entered is placed first
                file = stack.enter_context(replacing(path))
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if last not in new and last.read_bytes() != files[last]:
                last.unlink()
    except BaseException:
        for path in new:
            path.unlink(missing_ok=True)
        raise


def remove_abandoned(files: Iterable[Path]) -> None:
    """Removes those of `files` that a killed process had not written to the end."""
    for path in files:
        name = TEMPORARY.fullmatch(path.name)
        if name and not _is_running(int(name[1])):
            path.unlink(missing_ok=True)


def _is_running(process: int) -> bool:
    """A process that has ended and that nobody has asked about (Z) writes no more."""
    if sys.platform == "win32":  # where a signal of 0 would be Ctrl-C
        return _is_known_to_windows(process)
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # another user's
    try:
        state = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
    except OSError:  # no Linux, or ended meanwhile
        return True
    return state.rpartition(")")[2].split()[0] not in "ZX"


if sys.platform == "win32":

    def _is_known_to_windows(process: int) -> bool:
        import ctypes

        limited_information = 0x1000
        handle = ctypes.windll.kernel32.OpenProcess(limited_information, False, process)
        return bool(handle and ctypes.windll.kernel32.CloseHandle(handle))
