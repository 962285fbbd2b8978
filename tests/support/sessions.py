"""All processes that a command started, whatever became of the command itself."""

from __future__ import annotations

import time
from pathlib import Path


def living(session: int) -> list[int]:
    """The processes of a session that can still do something; a zombie cannot."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text("utf-8", "replace")
        except OSError:  # ended meanwhile
            continue
        state, _, _, of = text.rpartition(")")[2].split()[:4]
        if int(of) == session and state not in "ZX":
            found.append(int(path.parent.name))
    return found


def wait_for_all(session: int, seconds: float = 120) -> None:
    """Until no process of the session lives: those of a killed parent end a moment after it."""
    deadline = time.monotonic() + seconds
    while running := living(session):
        assert time.monotonic() < deadline, f"still running: {running}"
        time.sleep(0.02)
