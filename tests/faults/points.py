"""Where a fault strikes: the n-th call of a function, before or after it.

What is tested has no hooks. A point names a function of hnas, of one of its libraries or of Python
by its import path; the process that is to be hit replaces it by one that counts.
"""

from __future__ import annotations

import importlib
import itertools
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Point:
    """One instruction of a search."""

    phase: str
    """The part of a search that it stands for."""
    target: str
    """`module:attribute.attribute` of the function."""
    match: str = ""
    """Only calls whose arguments, as text, have this in them (a regular expression)."""
    nth: int = 1
    """Of the calls that match, from 1."""
    when: str = "before"
    """`before` or `after` the call."""

    @property
    def name(self) -> str:
        """Unique, and readable in a table of what went wrong."""
        of = f" of {self.match}" if self.match else ""
        return f"{self.phase}: {self.when} {self.target.split(':')[1]}{of} #{self.nth}"


def _each(phase: str, target: str, match: str, *places: tuple[int, str]) -> tuple[Point, ...]:
    return tuple(
        Point(phase=phase, target=target, match=match, nth=nth, when=when) for nth, when in places
    )


STEP = "torch.optim:AdamW.step"
SAVE = "hnas.training.checkpoint:save"
COMMIT = "sqlalchemy.engine.default:DefaultDialect.do_commit"
EXECUTE = "sqlalchemy.engine.default:DefaultDialect.do_execute"
BULK = "sqlalchemy.engine.default:DefaultDialect.do_executemany"
MARKS = "hnas.studies.trials.marks:set_attribute"
SCORE = "hnas.scoring.score:Tree.logits"
REPLACE, SYNC = "os:replace", "os:fsync"
BEFORE, AFTER = "before", "after"

SEARCH: tuple[Point, ...] = (
    *_each("beginning", REPLACE, "run.json", (1, BEFORE)),
    *_each("beginning", REPLACE, "plan.toml", (1, BEFORE)),
    *_each("beginning", REPLACE, "split.json", (1, BEFORE), (1, AFTER)),
    # The plan's two supernets take 6 and 4 steps, its networks 4 each, in batches of 64.
    *_each("supernet training", STEP, "", (1, BEFORE), (4, AFTER), (6, AFTER), (8, BEFORE)),
    *_each("supernet training", "hnas.studies.search.supernets:grow", "", (1, AFTER)),
    *_each("checkpoint writing", SAVE, "", (2, BEFORE), (3, AFTER), (4, BEFORE)),
    *_each("checkpoint writing", SYNC, "supernet1-.*safetensors", (2, BEFORE)),
    *_each("checkpoint writing", REPLACE, "supernet1-.*safetensors", (2, BEFORE), (2, AFTER)),
    *_each("checkpoint writing", REPLACE, "supernet1.json", (3, BEFORE), (3, AFTER)),
    *_each("scoring", SCORE, "", (1, BEFORE), (4, AFTER), (9, BEFORE), (13, AFTER)),
    *_each("storage transaction", EXECUTE, "CREATE TABLE trial_values", (1, BEFORE)),
    *_each("storage transaction", EXECUTE, "INSERT INTO trials", (1, BEFORE), (5, AFTER)),
    *_each("storage transaction", BULK, "INSERT INTO trial_params", (2, AFTER)),
    *_each("storage transaction", BULK, "INSERT INTO trial_values", (3, BEFORE)),
    *_each("storage transaction", BULK, "INSERT INTO trial_system_attr", (9, AFTER)),
    *_each("storage transaction", COMMIT, "", (2, BEFORE), (9, BEFORE), (14, BEFORE), (18, AFTER)),
    *_each("hand-off", MARKS, "handoff", (1, BEFORE), (1, AFTER), (2, AFTER)),
    *_each("retraining", STEP, "", (12, BEFORE), (16, AFTER), (20, BEFORE)),
    *_each("retraining", SYNC, "networks/.*safetensors", (2, BEFORE)),
    *_each("retraining", REPLACE, "networks", (1, AFTER), (4, BEFORE)),
    *_each("the test", "hnas.studies.search.finish:test_images", "", (1, BEFORE), (1, AFTER)),
    *_each("the test", REPLACE, "result.json", (1, BEFORE), (1, AFTER)),
)
"""Of `hnas search`."""

WRITES: tuple[Point, ...] = (
    *_each("run.json", "hnas.studies.run.files:write_atomic", "run.json", (1, BEFORE)),
    *_each("split.json", "hnas.studies.run.files:write_atomic", "split.json", (1, BEFORE)),
    *_each("a supernet", "hnas.training.checkpoint:write_atomic", "supernet1-", (2, BEFORE)),
    *_each("its index", "hnas.training.checkpoint:write_atomic", "supernet1.json", (2, BEFORE)),
    *_each("a study", EXECUTE, "CREATE TABLE trials", (1, BEFORE)),
    *_each("a trial", EXECUTE, "INSERT INTO trials", (3, BEFORE), (11, BEFORE)),
    *_each("the hand-off", MARKS, "handoff", (1, BEFORE)),
    *_each("a network", "hnas.training.checkpoint:write_atomic", "networks", (3, BEFORE)),
    *_each("result.json", "hnas.studies.run.files:write_atomic", "result.json", (1, BEFORE)),
)
"""Every kind of write of `hnas search`."""

STAGE_3: tuple[Point, ...] = (
    *_each("stage 3", MARKS, "front", (1, BEFORE), (1, AFTER)),
    *_each("stage 3", "hnas.studies.search.supernets:grow", "", (2, AFTER)),
    *_each("stage 3", SYNC, "supernet3-.*safetensors", (1, BEFORE)),
    *_each("stage 3", REPLACE, "supernet3.json", (1, BEFORE), (1, AFTER)),
    *_each("stage 3", SCORE, "", (20, BEFORE)),
    *_each("stage 3", COMMIT, "", (30, BEFORE)),
)
"""Of `hnas search --refine`."""

WORKER: tuple[Point, ...] = (
    *_each("worker", "hnas.studies.scoring.claim:take", "", (1, AFTER), (4, AFTER)),
    *_each("worker", "hnas.studies.scoring.claim:finish", "", (1, BEFORE), (3, AFTER)),
    *_each("worker", SCORE, "", (2, BEFORE)),
)
"""Of `hnas worker`."""

QUEUED: tuple[Point, ...] = (
    *_each("queue", "hnas.studies.scoring.queue_backend:put", "", (1, BEFORE), (2, AFTER)),
    *_each("queue", "hnas.studies.scoring.queue_backend:look", "", (2, AFTER)),
    *_each("queue", "hnas.studies.scoring.queue_backend:withdraw", "", (1, BEFORE), (1, AFTER)),
)
"""Of `hnas search --workers`."""

FIRST: tuple[Point, ...] = (
    *_each("first process", STEP, "", (4, AFTER), (12, BEFORE)),
    *_each("first process", REPLACE, "supernet1.json", (2, BEFORE)),
    *_each("first process", SCORE, "", (3, BEFORE)),
)
"""Of the first process of a torchrun."""

OTHER: tuple[Point, ...] = (
    *_each("other process", STEP, "", (1, BEFORE), (8, BEFORE), (12, AFTER)),
    *_each("other process", "hnas.training.processes:World.begin_sum", "", (3, BEFORE)),
    *_each("other process", "hnas.training.processes:World.broadcast", "", (2, BEFORE)),
)
"""Of its other one."""

IMPORT: tuple[Point, ...] = (
    *_each("import", SYNC, "net.safetensors", (1, BEFORE)),
    *_each("import", REPLACE, "net.safetensors", (1, BEFORE), (1, AFTER)),
    *_each("import", REPLACE, "net.json", (1, BEFORE), (1, AFTER)),
)
"""Of `hnas import`."""

PACK: tuple[Point, ...] = (
    *_each("pack", REPLACE, "pack.json", (1, BEFORE), (1, AFTER), (2, BEFORE), (2, AFTER)),
    *_each("pack", SYNC, "train-00000.u8", (1, BEFORE)),
    *_each("pack", REPLACE, "train-00000.u8", (1, BEFORE), (1, AFTER)),
    *_each("pack", REPLACE, "train-00000.json", (1, BEFORE), (1, AFTER)),
)
"""Of `hnas data pack`."""

EXPORT: tuple[Point, ...] = (
    *_each("export", SYNC, "winner.safetensors", (1, BEFORE)),
    *_each("export", REPLACE, "winner.safetensors", (1, BEFORE), (1, AFTER)),
    *_each("export", REPLACE, "winner.py", (1, AFTER)),
    *_each("export", REPLACE, "winner.json", (1, BEFORE), (1, AFTER)),
)
"""Of `hnas export`."""


def strike(point: Point, act: Callable[..., None]) -> None:
    """From now on `act` is called, once, at the point, with the arguments of the call."""
    owner, attribute = place_of(point)
    real = getattr(owner, attribute)
    calls = itertools.count(1)

    def counted(*args: Any, **named: Any) -> Any:
        here = re.search(point.match, _told(point.target, args)) and next(calls) == point.nth
        if here and point.when == BEFORE:
            act(*args)
        answer = real(*args, **named)
        if here and point.when == AFTER:
            act(*args)
        return answer

    setattr(owner, attribute, counted)


def place_of(point: Point) -> tuple[Any, str]:
    """The module or class that has the function, and the function's name in it."""
    module, _, path = point.target.partition(":")
    owner: Any = importlib.import_module(module)
    *between, attribute = path.split(".")
    for name in between:
        owner = getattr(owner, name)
    return owner, attribute


def path_of(descriptor: int) -> str:
    """Of an open file."""
    return os.readlink(f"/proc/self/fd/{descriptor}")


def _told(target: str, args: tuple[Any, ...]) -> str:
    """The arguments that are text or paths; an open file is told by its path."""
    if target == SYNC:
        return path_of(args[0])
    return " ".join(str(arg) for arg in args if isinstance(arg, (str, os.PathLike)))
