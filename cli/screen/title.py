"""The command line of this process as others see it (`ps`): passwords are overwritten."""

import ctypes
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

STAT = Path("/proc/self/stat")
START, END = 45, 46
"""Fields behind the name: addresses of the arguments, since Linux 3.5 (proc_pid_stat(5))."""


def hide_passwords() -> None:
    """Overwrites URLs with passwords in the memory where Linux looks for the command line.

    `sys.argv` stays. Elsewhere, and of the process that started this one, nothing changes.
    """
    given = sys.argv[1:]
    with suppress(OSError, ValueError, IndexError):
        for arg, instead in zip(given, shown(given), strict=True):
            if arg != instead:
                _overwrite(os.fsencode(arg), os.fsencode(instead))


def _overwrite(text: bytes, instead: bytes) -> None:
    fields = STAT.read_text("utf-8", "replace").rpartition(")")[2].split()
    start, end = int(fields[START]), int(fields[END])
    place = (b"\0" + ctypes.string_at(start, end - start)).index(b"\0" + text + b"\0")
    ctypes.memmove(start + place, instead.ljust(len(text), b"*"), len(text))


def shown(args: Sequence[str]) -> list[str]:
    """Arguments with their passwords masked."""
    found, before = [], ""
    for arg in args:
        name, equals, url = arg.partition("=") if arg.startswith("--") else ("", "", arg)
        if url and ("://" in url or (name or before) == "--storage"):
            from hnas.studies.trials.url import masked

            url = masked(url)
        found.append(f"{name}{equals}{url}")
        before = arg
    return found
