"""A run: the folder that holds everything of one search, and the lock that keeps it to one process.

Each file is named, written and read in one module, but for checkpoints, which are those of their
trainings:

plan.toml            the resolved plan: here
run.json             its studies' name and storage (without a password), device, versions: `about`
study.db             its studies, unless another storage is used: here
checkpoints/         supernets, the pretrained weights that they begin with, a teacher of ours: here
split.json           which images are trained on, scored on, tested on: `split`
latency.json         the latency table, if latency matters: `latency`
layouts.json         the layouts of convolutions, if a GPU computed: `layouts`
networks/            the retrained networks: `networks`
history.jsonl        losses and held-out accuracies of every epoch of every training: `history`
result.json          the answer, once the networks have been tested: `result`
times.json           the time that each step took: `times`
spent.json           the time that it took, if `hnas compare` searched it: `spent`
ranking-stageN.json  what `hnas rank` found: `ranking`
artifacts/           drawings of elites: `hnas.studies.dashboard.annotate`
tensorboard/         curves and trials, if they are asked for: `hnas.studies.search.trackers`
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

from hnas.errors import InputError, MismatchError, StateError
from hnas.persist.difference import listed
from hnas.persist.record import recorded, restored
from hnas.studies.plan.fixed import RESCORE, SOURCE, changes
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.strategies import Stage, of_a_cnn, stages
from hnas.studies.plan.toml import load_plan, to_toml
from hnas.studies.run.about import About
from hnas.studies.run.files import read_json, write
from hnas.studies.run.lock import HOLDER, LOCK, hold
from hnas.studies.trials.url import absolute, masked, sqlite_url

RecordT = TypeVar("RecordT")

PLAN, ABOUT, STUDIES, SPLIT = "plan.toml", "run.json", "study.db", "split.json"
RESULT = "result.json"


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
        """The checkpoint of a stage's supernet, without suffix."""
        return self._of_stage("supernet", stage)

    def pretrained(self, stage: int) -> Path:
        """The checkpoint of what a stage's supernet begins with if that is pretrained, without
        suffix."""
        return self._of_stage("pretrained", stage)

    def _of_stage(self, what: str, stage: int) -> Path:
        """Later stages begin with what stage 1 handed over: each rescoring of that has its own."""
        of = self._suffix(1) if stage > 1 else ""
        return self.folder / "checkpoints" / f"{what}{stage}{of}"

    @property
    def teacher(self) -> Path:
        """The checkpoint of a teacher that is trained here, without suffix. `[retrain]` of the plan
        may change, and then another CNN teaches."""
        return self.folder / "checkpoints" / f"teacher-{of_a_cnn(self.plan).key}"

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
        """What another plan would change that trials, or the result if there is one, depend on:
        (stored, asked), by name."""
        # Before the images are split nothing depends on the plan: a mistake in it can be mended.
        split = (self.folder / SPLIT).exists()
        tested = (self.folder / RESULT).exists()
        return changes(self.plan, plan, rescore=rescore, tested=tested) if split else {}

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
        return read_json(self.folder / name)

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

    def hold(self) -> AbstractContextManager[None]:
        """Keeps the run to this process. Raises BusyError, naming the holder, if another has it."""
        return hold(self.folder)


def is_run(folder: Path) -> bool:
    """Whether a run has begun in the folder."""
    return (folder / PLAN).exists()


def runs_in(folder: Path) -> list[Path]:
    """The folders of the runs in a folder, the one that was begun or worked on last behind."""
    held = {
        path.parent: max(
            one.stat().st_mtime for one in (path, path.with_name(HOLDER)) if one.exists()
        )
        for path in folder.glob(f"*/{PLAN}")
    }
    return sorted(held, key=lambda run: (held[run], run))


def discard(run: Run, made: Iterable[Path]) -> None:
    """Removes a run that was begun, and whose images were not even split, and the folders that were
    `made` for it. Other files stay."""
    with suppress(OSError):
        for name in (PLAN, ABOUT, LOCK, HOLDER, STUDIES, "latency.json", "layouts.json"):
            (run.folder / name).unlink(missing_ok=True)
        for folder in made:
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
            f"the run {folder} was begun with another plan, and what it has found depends on "
            f"these:\n{listed(found)}\nAsk for what is stored, or use another --run{new}"
        )
    if begun.plan != plan:
        write(folder / PLAN, to_toml(plan).encode())
    return replace(begun, plan=plan)


def _own_storage(folder: Path) -> str:
    return sqlite_url(folder.resolve() / STUDIES)
