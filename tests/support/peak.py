"""How much memory a piece of code takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

STATUS, REFS = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def peak_of(work: Callable[[], object]) -> int:
    """Most bytes that `work` holds at any time, in pages of this process.

    The peak of a process's life says nothing here: other tests may have had a higher one.
    """
    begin_anew()
    before = held()
    work()
    return 1024 * _kilobytes("VmHWM") - before


def held() -> int:
    """Bytes that this process holds, in its pages."""
    return 1024 * _kilobytes("VmRSS")


def begin_anew() -> None:
    """From now on the peak is that of what comes."""
    try:
        REFS.write_text("5")
    except OSError:
        pytest.skip("needs Linux, to measure the peak of a part of the test")


def _kilobytes(name: str) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", STATUS.read_text(), re.MULTILINE)
    assert found
    return int(found[1])
