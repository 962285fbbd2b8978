"""The machine as this process has it: cores and memory within the limits of its container (cgroup,
version 1 and 2) and of `ulimit`. Knows no torch."""

import contextlib
import ctypes
import math
import os
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

DEVICES = re.compile(r"auto|cpu|cuda(:\d+)?|mps")
"""How a device to compute on is named."""
PRECISIONS = ("auto", "fp32", "bf16")
"""What matrix products can be asked to be computed in: `hnas.device.precision`."""
SYSTEM = Path("/")
"""Where `proc` and `sys` lie."""


def cores(system: Path = SYSTEM) -> int:
    """Cores that this process may use: its affinity, or its container's share if that is less."""
    affinity = getattr(os, "sched_getaffinity", None)
    found = len(affinity(0)) if affinity else os.cpu_count() or 1
    for folder in _cgroups("cpu", system):
        limit = _words(folder / "cpu.max") or (
            _words(folder / "cpu.cfs_quota_us") + _words(folder / "cpu.cfs_period_us")
        )
        if len(limit) == 2 and all(word.isdigit() for word in limit) and int(limit[1]):
            found = min(found, max(1, math.ceil(int(limit[0]) / int(limit[1]))))
    return found


def free_memory(system: Path = SYSTEM) -> int | None:
    """Bytes that this process can still have; None if the system does not say.

    The least of what the machine has available, what the limits of its containers leave (files that
    are only cached do not count as used), and what `ulimit -v` leaves.
    """
    found = [_fields(system / "proc/meminfo").get("MemAvailable")]
    if found == [None]:
        found = [machine_memory()]
    for folder in _cgroups("memory", system):
        names = ("memory.max", "memory.current", "inactive_file")
        if not (folder / names[0]).exists():
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        limit, used = (_words(folder / name) for name in names[:2])
        if limit and used and limit[0].isdigit():  # or it is "max"
            cached = _fields(folder / "memory.stat").get(names[2], 0)
            found.append(max(0, int(limit[0]) - int(used[0]) + cached))
    found.append(_address_space(system))
    return min((each for each in found if each is not None), default=None)


def machine_memory() -> int | None:
    """Bytes that the machine has; None if the system does not say (Windows)."""
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return None


def peak_memory(system: Path = SYSTEM) -> int:
    """The most bytes that this process has held so far; 0 if the system does not say (Windows)."""
    if (found := _fields(system / "proc/self/status").get("VmHWM")) is not None:
        return found  # not ru_maxrss: a process inherits that of the one that started it
    with contextlib.suppress(ImportError):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else 1024 * peak
    return 0


def cpu_seconds() -> float:
    """CPU time of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def load() -> str:
    """How busy the machine is, in words; empty if the system does not say (Windows)."""
    with contextlib.suppress(AttributeError, OSError):
        return f"load {os.getloadavg()[0]:.1f} on {cores()} core{'s'[: cores() > 1]}"
    return ""


LARGEST_KEPT, MOST_KEPT = 2**28, 2**30
"""Bytes: a larger piece of memory goes back to the system when it is freed, and so does what is
free above this sum."""


@cache
def keep_freed_memory() -> bool:
    """Lets this process keep memory that it frees, for its next step: True if the C library can.

    glibc gives most of a step's activations back to the system and gets them again, page by page
    (`benchmarks.speed.memory_kept` measures what that costs).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # <malloc.h>
    if mallopt is None:  # musl, macOS
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, LARGEST_KEPT) and mallopt(M_TRIM_THRESHOLD, MOST_KEPT))


SPINS, BRIEFLY = "GOMP_SPINCOUNT", "10000"
"""How often a thread looks whether the others are ready before it sleeps, in PyTorch's OpenMP on
Linux (libgomp); its default is 300,000."""
POLICY = "OMP_WAIT_POLICY"
"""Says the same in another way, for every OpenMP."""


def wait_briefly() -> None:
    """Lets the threads of this process, and of those it starts, wait for each other for about a
    tenth of a millisecond, then sleep. Call it before torch is imported; what the user has set
    stays.

    By default they keep a core for milliseconds which the thread that they wait for may need, if
    other programs run too: beside one, a step took ten times as long
    (`benchmarks.speed.waiting`).
    """
    if POLICY not in os.environ:
        os.environ.setdefault(SPINS, BRIEFLY)


def _address_space(system: Path) -> int | None:
    """Bytes that `ulimit -v` leaves; None if it sets no limit."""
    with contextlib.suppress(ImportError, IndexError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            pages = int(_words(system / "proc/self/statm")[0])
            return max(0, limit - pages * resource.getpagesize())
    return None


def _cgroups(controller: str, system: Path) -> Iterator[Path]:
    """The folders of this process's cgroup and of those that hold it, of either version."""
    mount = system / "sys/fs/cgroup"
    for line in _lines(system / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            top = mount
        elif controller in controllers.split(","):
            top = next((m for m in (mount / controllers, mount / controller) if m.is_dir()), mount)
        else:
            continue
        place = top / path.strip("/")
        # A container sees its own cgroup as the top, whatever the path says.
        yield from (f for f in (place, *place.parents) if f.is_relative_to(top) and f.is_dir())


def _lines(path: Path) -> list[str]:
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return path.read_text("utf-8").splitlines()
    return []


def _words(path: Path) -> list[str]:
    return " ".join(_lines(path)).split()


def _fields(path: Path) -> dict[str, int]:
    """The numbers of lines `name number`, in bytes; a name may end in a colon."""
    found = {}
    for name, number, *unit in (line.split() for line in _lines(path) if len(line.split()) > 1):
        if number.isdigit():
            found[name.rstrip(":")] = int(number) * (1024 if unit == ["kB"] else 1)
    return found
