"""Checks of a machine: what is installed, where it computes and stores, and a small search."""

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import shorten

import optuna
import torch

from hnas import __version__
from hnas.data.sources.load import known
from hnas.device import choose, has_bf16
from hnas.errors import HnasError, StateError
from hnas.machine import machine_memory
from hnas.selftest import self_test
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.study import open_study
from hnas.studies.trials.url import masked

PACKAGES = ("torch", "optuna", "optuna-dashboard", "SQLAlchemy", "numpy", "kornia", "Pillow")
EXTRAS = {
    "onnx": "onnxscript",
    "postgres": "psycopg",
    "heic": "pillow-heif",
    "parquet": "pyarrow",
}
"""What `pip install 'hnas[EXTRA]'` brings, by one of its packages."""
ROOM = 2**30
"""Fewer free bytes than these are a problem: checkpoints need room."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """The result of one check."""

    name: str
    fine: bool
    words: str
    """What was found; if it is not fine, also what to do."""


def examine(device: str, folder: Path, storage: str | None) -> Iterator[Check]:
    """Every check in turn; one that fails does not keep the others from being made.

    `folder` is where runs are kept, `storage` a study storage's URL, or None for SQLite there.
    """
    checks: dict[str, Callable[[], str]] = {
        "versions": _versions,
        "extras": _extras,
        "device": lambda: _device(device),
        "data": lambda: f"known by name: {', '.join(known())}",
        "disk": lambda: _disk(folder),
        "storage": lambda: _storage(folder, storage),
        "self-test": lambda: _self_test(device),
    }
    for name, check in checks.items():
        try:
            yield Check(name=name, fine=True, words=check())
        except (HnasError, OSError) as error:
            yield Check(name=name, fine=False, words=str(error))
        except Exception as error:  # of a library or a driver, which are what is looked at
            found = shorten(f"{type(error).__name__}: {error}", 500, placeholder=" ...")
            words = f"{found}. Report it with the versions above"
            yield Check(name=name, fine=False, words=words)


def _versions() -> str:
    try:
        found = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    except PackageNotFoundError as error:
        raise StateError(
            f"{error.name} is not installed, and hnas needs it: install hnas again"
        ) from None
    return f"hnas {__version__}, Python {platform.python_version()}, {found}"


def _extras() -> str:
    return ", ".join(f"{extra} {_installed(package)}" for extra, package in EXTRAS.items())


def _installed(package: str) -> str:
    try:
        return f"({package} {version(package)})"
    except PackageNotFoundError:
        return "is not installed"


def _device(name: str) -> str:
    device = choose(name)
    if device.type == "cuda":
        about = torch.cuda.get_device_properties(device)
        return f"{about.name}, {about.total_memory / 2**30:.0f} GiB"
    memory = machine_memory()
    cores, threads = os.cpu_count(), torch.get_num_threads()
    return (
        f"CPU, {cores} core{'s' * (cores != 1)}, {threads} thread{'s' * (threads != 1)}, "
        f"{f'{memory / 2**30:.0f} GiB' if memory else 'memory unknown'}; "
        f"{'CUDA' if torch.cuda.is_available() else 'no CUDA'}"
        f"{'; it multiplies in bf16 too: --precision bf16' if has_bf16(device) else ''}"
    )


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(path for path in (folder, *folder.absolute().parents) if path.is_dir())


def _disk(folder: Path) -> str:
    place = _existing(folder)
    free = shutil.disk_usage(place).free
    if free < ROOM:
        raise StateError(
            f"{free / 2**30:.1f} GiB are free in {place.absolute()}, checkpoints may need more: "
            "make room, or give --run a folder elsewhere"
        )
    return f"{free / 2**30:.1f} GiB free in {place.absolute()}"


def _storage(folder: Path, storage: str | None) -> str:
    """Makes a study in the folder of runs and deletes it; a storage that is given is only asked
    for the names of its studies."""
    if storage is not None:
        backend = open_storage(storage)
        try:
            count = len(optuna.get_all_study_names(backend))
        finally:
            close_storage(backend)
        return f"{masked(storage)} answers, studies in it: {count}"
    place = _existing(folder)
    with TemporaryDirectory(prefix=".hnas-doctor-", dir=place) as temporary:
        backend = open_storage(f"sqlite:///{Path(temporary) / 'study.db'}", create=True)
        try:
            open_study(backend, "doctor", create=True).set_user_attr("works", True)
        finally:
            close_storage(backend)
    return f"SQLite works in {place.absolute()}"


def _self_test(device: str) -> str:
    found = self_test(choose(device))
    if found.problems:
        raise StateError(
            f"{'; '.join(found.problems)}. This installation of PyTorch cannot be trusted with a "
            "search: report it with the versions above"
        )
    return (
        f"a small supernet was trained (loss {found.first_loss:.2f} to {found.last_loss:.2f}) and "
        f"scored ({found.accuracy:.2f} of digits), its subnet is its standalone network "
        f"(difference {found.difference:.1g}); {found.seconds:.1f} s"
    )
