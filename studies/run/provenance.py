"""Provenance: machine, versions and date, written beside numbers. Imports nothing slow."""

import os
import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hnas
from hnas import __version__

PACKAGES = ("torch", "numpy", "optuna")


def environment() -> dict[str, Any]:
    """The machine, the versions and the date, now."""
    return {
        "machine": platform.machine(),
        "cpu": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES},
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def versions() -> dict[str, str]:
    """What a run's values depend on besides torch and the device; of hnas the commit, if any."""
    return {
        "python": platform.python_version(),
        "hnas": _source(),
        **{name: version(name) for name in PACKAGES if name != "torch"},
    }


def libraries() -> dict[str, str]:
    """The versions that scores depend on, whatever the device."""
    return {**versions(), "torch": version("torch")}


def changed(was: Mapping[str, str], now: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """What differs, by name, as (was, is); what was not written down then is left out."""
    return {name: (was[name], now[name]) for name in now if was.get(name, now[name]) != now[name]}


def _source() -> str:
    """The version of hnas, with the commit if it runs from a checkout."""
    root = Path(hnas.__file__).parents[1]
    if (root / ".git").exists():
        asked = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
        with suppress(OSError, subprocess.SubprocessError):
            said = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
            return f"{__version__} ({said.stdout.strip()})"
    return __version__


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
