"""A run: the folder that holds everything of one search, and the lock that keeps it to one process.

Each file is named, written and read in one module:

plan.toml            the resolved plan: here
run.json             its studies' name and storage (without a password), device, versions: here
study.db             its studies, unless another storage is used: here
checkpoints/         the supernets, and the teacher if it is trained here: here
split.json           which images are trained on, scored on, tested on: `split`
latency.json         the latency table, if latency matters: `latency`
networks/            the retrained networks: `networks`
history.jsonl        losses and held-out accuracies of every epoch of every training: `history`
result.json          the answer, once the test images have been read: `result`
spent.json           the time that it took, if `hnas compare` searched it: `spent`
ranking-stageN.json  what `hnas rank` found: `ranking`
artifacts/           drawings of elites: `hnas.studies.dashboard.annotate`
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from filelock import FileLock, Timeout

from hnas.errors import BusyError, InputError, MismatchError, StateError
from hnas.persist.atomic import read_regular, remove_abandoned, write_atomic
from hnas.persist.difference import listed
from hnas.persist.record import later, recorded, restored
from hnas.studies.plan.fixed import RESCORE, SOURCE, changes
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.strategies import Stage, stages
from hnas.studies.plan.toml import load_plan, to_toml
from hnas.studies.trials.database import absolute, masked, sqlite_url

RecordT = TypeVar("RecordT")

PLAN, ABOUT, STUDIES, SPLIT = "plan.toml", "run.json", "study.db", "split.json"
LOCK, HOLDER = ".lock", ".holder"


def write(path: Path, data: bytes) -> None:
    """Writes a file of a run, whole or not at all. Raises StateError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    except OSError as error:
        raise StateError(
            f"{path} cannot be written: {error.strerror}. What was finished before is kept; "
            "free or unlock the folder and run again, or choose another --run"
        ) from None


@dataclass(frozen=True, kw_only=True)
class About:
    """A run's own data besides its plan. Raises InputError if a count is not one."""

    name: str
    """Of its studies; kept when the folder is moved."""
    storage: str | None
    """The study storage's URL without a password; None: study.db in the folder."""
    environment: Mapping[str, str] | None = later(None)
    """The device and the versions that it began with; None before its images are read."""
    id: str = later("")
    """Of this run and no other: its studies in a shared storage have it; empty in older runs."""
    rescored: tuple[int, ...] = later(())
    """How often each stage was scored again, each time in a new study; empty: never."""
    images: tuple[str, ...] = later(())
    """What a person should know of its images, each one sentence."""
    asked: Mapping[str, str] | None = later(None)
    """Options whose values depend on the plan that the run began with, as they were given."""

    def __post_init__(self) -> None:
        if not all(0 <= count < 10**6 for count in self.rescored):  # they become part of names
            raise InputError(f"rescored must be counts, got {list(self.rescored)}")


@dataclass(frozen=True)
class Run:
    """One run's folder. Its plan is fixed when it begins, as `hnas.studies.plan.fixed` says."""

    folder: Path
    plan: Plan
    storage: str
    """The study storage's URL."""
    name: str
    """As its `About` has it, like `rescored`."""
    rescored: tuple[int, ...] = ()

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What the search goes through; a stage's number counts from 1."""
        return stages(self.plan)

    def stage(self, number: int) -> Stage:
        """A stage by its number. Raises InputError if the strategy has no such stage."""
        if not 1 <= number <= len(self.stages):
            raise InputError(
                f"the search of {self.folder} has no stage {number}: its strategy "
                f"{self.plan.search.strategy!r} has {len(self.stages)}. Leave --stage out, or "
                "begin another --run"
            )
        return self.stages[number - 1]

    def study_name(self, stage: int) -> str:
        return f"{self.name}-{self.stage(stage).name}{self._suffix(stage)}"

    def supernet(self, stage: int) -> Path:
        """The checkpoint of a stage's supernet, without suffix.

        Later ones grow out of what stage 1 handed over, so that each rescoring of that has its own.
        """
        of = self._suffix(1) if stage > 1 else ""
        return self.folder / "checkpoints" / f"supernet{stage}{of}"

    def _suffix(self, stage: int) -> str:
        times = self.rescored[stage - 1] if len(self.rescored) >= stage else 0
        return f"-rescored{times}" if times else ""

    def rescore(self, stage: int) -> Run:
        """From now on a new study of the stage is the run's; the old study is kept."""
        times = [*self.rescored, *(0 for _ in self.stages)][: len(self.stages)]
        times[stage - 1] += 1
        self.tell(replace(self.about, rescored=tuple(times)))
        return replace(self, rescored=tuple(times))

    @property
    def about(self) -> About:
        """Its run.json. Raises StateError if it is damaged."""
        found = self.restore(ABOUT, About, "is not that of a run", "Restore it")
        return found or About(name=self.folder.resolve().name, storage=None)

    def tell(self, about: About) -> None:
        """Writes its run.json. Raises StateError."""
        self.write(ABOUT, recorded(about))

    def changes(self, plan: Plan, *, rescore: bool = False) -> dict[str, tuple[object, object]]:
        """What another plan would change that trials depend on: (stored, asked), by name."""
        # Before the images are split nothing depends on the plan: a mistake in it can be mended.
        split = (self.folder / SPLIT).exists()
        return changes(self.plan, plan, rescore=rescore) if split else {}

    @property
    def has_studies(self) -> bool:
        """Whether there may be studies in its storage."""
        return self.about.storage is not None or (self.folder / STUDIES).exists()

    def seed(self, purpose: str) -> int:
        """A seed of its own for everything that draws, from the plan's."""
        digest = hashlib.sha256(f"{self.plan.search.seed}/{purpose}".encode()).digest()
        return int.from_bytes(digest[:4], "big")

    def read(self, name: str) -> Any:
        """A JSON file of the run; None if there is none. Raises StateError if it is torn."""
        path = self.folder / name
        try:
            return json.loads(read_regular(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            raise StateError(
                f"{path} cannot be read as JSON: {error}. Restore it, or delete it to make it again"
            ) from None

    def newest_meta(self, path: Path) -> dict[str, Any]:
        """What the index of checkpoint `path` (without suffix) says of its newest version.

        Raises StateError if it is torn, TypeError, KeyError or IndexError if it has none.
        """
        index = self.read(f"{path.relative_to(self.folder)}.json")
        meta: dict[str, Any] = index["versions"][0]["meta"]
        return meta

    def trained_epochs(self, path: Path) -> int:
        """How far checkpoint `path` goes; 0 if there is none."""
        try:
            return int(self.newest_meta(path)["epoch"])
        except (TypeError, KeyError, IndexError, ValueError):
            return 0

    def restore(self, name: str, kind: type[RecordT], wrong: str, advice: str) -> RecordT | None:
        """A JSON file of the run as a record; None if there is none.

        Raises StateError if it is torn, or is no such record: `wrong` says so, `advice` what to do.
        """
        value = self.read(name)
        try:
            return None if value is None else restored(kind, value)
        except InputError as error:
            raise StateError(f"{self.folder / name} {wrong}: {error}. {advice}") from None

    def write(self, name: str, value: Mapping[str, Any]) -> None:
        """Writes a JSON file of the run, whole or not at all. Raises StateError."""
        write(self.folder / name, json.dumps(value, indent=1).encode() + b"\n")

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Keeps the run to this process. The system lets go of it when the holder dies.

        Raises BusyError, naming the holder, if another process has it.
        """
        path, holder = self.folder / LOCK, self.folder / HOLDER
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except Timeout:
            who = holder.read_text().strip() if holder.exists() else "unknown"
            raise BusyError(
                f"the run {self.folder} is held by another process (pid {who}). "
                "Wait for it, stop it, or use another --run"
            ) from None
        except OSError as error:
            raise StateError(
                f"{path} cannot be locked: {error.strerror}. "
                "Unlock or free the folder, or choose another --run"
            ) from None
        try:
            remove_abandoned(self.folder.rglob(".*.tmp"))
            write(holder, f"{os.getpid()}\n".encode())
            yield
        finally:
            lock.release()


def is_run(folder: Path) -> bool:
    """Whether a run has begun in the folder."""
    return (folder / PLAN).exists()


def runs_in(folder: Path) -> list[Path]:
    """The folders of the runs in a folder, the one that was begun or worked on last behind."""
    return sorted((path.parent for path in folder.glob(f"*/{PLAN}")), key=_last_held)


def _last_held(folder: Path) -> tuple[float, Path]:
    files = (folder / HOLDER, folder / PLAN)
    return max(path.stat().st_mtime for path in files if path.exists()), folder


def discard(run: Run) -> None:
    """Removes a run that was begun, and whose images were not even split. Other files stay."""
    for name in (PLAN, ABOUT, LOCK, HOLDER, STUDIES, "latency.json"):
        with suppress(OSError):
            (run.folder / name).unlink()
    for folder in (run.folder, run.folder.parent):
        with suppress(OSError):
            folder.rmdir()  # only if nothing else is in it


def open_run(folder: Path, *, storage: str | None = None) -> Run:
    """A run that has begun. The folder may come from someone else, so a storage that it names is
    opened only if it is given as `storage`; unasked, only the folder's own is.

    Raises InputError if there is no run, or its storage is another.
    """
    run, asked = shared_run(folder), absolute(storage or _own_storage(folder))
    kept = masked(absolute(run.storage))
    if masked(asked) != kept:
        raise InputError(
            f"the run {folder} keeps its studies in {kept}: give that --storage"
            + (", with its password" if "***" in kept else "")
            + ("" if storage else ", if you trust what the folder says")
        )
    return replace(run, storage=asked)


def shared_run(folder: Path) -> Run:
    """A run that has begun, for one who only reads its files: its storage may have another address
    from here, and is without its password. Raises InputError if there is none."""
    if not is_run(folder):
        raise InputError(
            f"there is no run in {folder}: it has no {PLAN}. Begin it: hnas search --run {folder}"
        )
    run = Run(folder, load_plan(folder / PLAN), "", "")
    about = run.about
    storage = about.storage or _own_storage(folder)
    return replace(run, storage=storage, name=about.name, rescored=about.rescored)


def begin_run(
    folder: Path,
    plan: Plan,
    *,
    storage: str | None = None,
    rescore: bool = False,
    moved: bool = False,
    asked: Mapping[str, str] | None = None,
) -> Run:
    """The run of a plan: made if there is none, else continued; with `rescore` its trials may be
    scored by another rule, with `moved` its images, which were proven the same, may be elsewhere.
    `asked` is kept, as `About` has it.

    Raises MismatchError, naming every difference, if the run has begun with another plan.
    """
    if not is_run(folder):
        storage = storage and absolute(storage)
        run = Run(folder, plan, storage or _own_storage(folder), folder.resolve().name)
        kept, own = storage and masked(storage), uuid4().hex
        run.tell(About(name=run.name, storage=kept, id=own, asked=asked or None))
        write(folder / PLAN, to_toml(plan).encode())
        return run
    begun = open_run(folder, storage=storage)
    found = begun.changes(plan, rescore=rescore)
    if found and not (moved and {*found} == {SOURCE}):
        new = ", or --rescore for a new study" if all(n.startswith(RESCORE) for n in found) else ""
        raise MismatchError(
            f"the run {folder} was begun with another plan, and its trials depend on these:\n"
            f"{listed(found)}\nAsk for what is stored, or use another --run{new}"
        )
    if begun.plan != plan:
        write(folder / PLAN, to_toml(plan).encode())
    return replace(begun, plan=plan)


def _own_storage(folder: Path) -> str:
    return sqlite_url(folder.resolve() / STUDIES)
