"""The lock of a run: one process works on it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from hnas.errors import BusyError, StateError
from hnas.persist.atomic import read_regular, remove_abandoned
from hnas.studies.run.files import write

LOCK, HOLDER = ".lock", ".holder"


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Keeps a run to this process. The system lets go of it when the holder dies.

    Raises BusyError, naming the holder, if another process has it.
    """
    path, holder = folder / LOCK, folder / HOLDER
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise BusyError(
            f"the run {folder} is held by another process (pid {_who(holder)}). "
            "Wait for it, stop it, or use another --run"
        ) from None
    except OSError as error:
        raise StateError(
            f"{path} cannot be locked: {error.strerror}. "
            "Unlock or free the folder, or choose another --run"
        ) from None
    try:
        remove_abandoned(folder.rglob(".*.tmp"))
        write(holder, f"{os.getpid()}\n".encode())
        yield
    finally:
        lock.release()


def _who(holder: Path) -> str:
    try:
        return str(int(read_regular(holder, 99)))
    except (OSError, ValueError):
        return "unknown"
