"""The history of a run's trainings, `history.jsonl`: a line for each epoch, in their order.

It holds no times, so the same search writes the same bytes, however often it was broken off; but
lines of networks that are trained at the same time come as they do. Lines are only ever added.
Imports no torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from hnas.errors import InputError, StateError
from hnas.persist.atomic import read_regular
from hnas.persist.record import later, recorded, restored
from hnas.studies.run.folder import Run
from hnas.studies.run.result import Result
from hnas.training.record import Held, Kept

if TYPE_CHECKING:
    from hnas.training.loop import Epoch

FILE = "history.jsonl"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One epoch of one training."""

    training: str
    """The path of its checkpoint in the run: `checkpoints/supernet1`, `networks/KEY`."""
    epoch: int
    """Counted from 1."""
    epochs: int
    """That were asked for."""
    loss: float
    """Of training, the mean over the epoch's steps."""
    lr: float
    """Of the epoch's last step."""
    plain: Held | None = later(None)
    """On held-out images; None if nobody looked after this epoch, as with supernets."""
    averaged: Held | None = later(None)
    """The averaged weights on them."""
    kept: Kept | None = later(None)
    """In the last line of a training: the weights that it keeps."""


def row(training: str, epoch: Epoch) -> Row:
    """An epoch of a training as a row."""
    names = ("epoch", "epochs", "loss", "lr", "plain", "averaged", "kept")
    return Row(training=training, **{name: getattr(epoch, name) for name in names})


def read_history(run: Run) -> Mapping[str, tuple[Row, ...]]:
    """The rows of each training, in the order of training; empty if there are none.

    A last line that is torn is left out. Raises StateError if another line is damaged.
    """
    found: dict[str, list[Row]] = {}
    for each in _rows(run.folder / FILE):
        found.setdefault(each.training, []).append(each)
    return {training: tuple(rows) for training, rows in found.items()}


def curves(run: Run, result: Result | None) -> Mapping[str, tuple[Row, ...]]:
    """The history of the supernets and, once there is a result, of its networks, by names to show.

    Raises StateError if it is damaged.
    """
    names = {f"checkpoints/{run.teacher.name}": "teacher"}
    if result is not None:
        names |= {f"networks/{one.key}": f"{i}" for i, one in enumerate(result.candidates, 1)}
        for name, one in (("all-global", result.all_global), ("winner", result.winner)):
            names[f"networks/{one.picked or one.key}"] = name
            if one.picked:
                names[f"networks/{one.key}"] = f"{name}, on all images"
    supernet = "checkpoints/supernet"
    return {
        names.get(training) or training.replace(supernet, "supernet of stage "): rows
        for training, rows in read_history(run).items()
        if training in names or training.startswith(supernet)
    }


def _rows(path: Path) -> Iterator[Row]:
    try:
        lines = read_regular(path).split(b"\n")[:-1]
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(f"{path} cannot be read: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        try:
            yield restored(Row, json.loads(line))
        except (ValueError, RecursionError, InputError) as error:
            raise StateError(
                f"line {number} of {path} is not an epoch of a training: {error}. Delete the line: "
                "nothing but curves depends on it"
            ) from None


class History:
    """Writes the history of a run. Hold the run."""

    def __init__(self, run: Run) -> None:
        self._path = run.folder / FILE
        self._known = {(each.training, each.epoch) for each in _rows(self._path)}

    def add(self, row: Row) -> None:
        """Adds a row, unless there is one of this epoch: a training that was killed repeats those
        after its last checkpoint. Raises StateError."""
        if (row.training, row.epoch) in self._known:
            return
        try:
            with open(self._path, "ab+", opener=_no_link) as file:
                _drop_torn(file)
                file.write(json.dumps(recorded(row)).encode() + b"\n")
        except OSError as error:
            raise StateError(
                f"{self._path} cannot be written: {error.strerror}. What was finished before is "
                "kept; free or unlock the folder and run again"
            ) from None
        self._known.add((row.training, row.epoch))


def _no_link(path: str, flags: int) -> int:
    """Opens a file of a run, which may come from someone else: never what a link leads to."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _drop_torn(file: BinaryIO) -> None:
    """Cuts off a last line without an end."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 2**16))
    tail = file.read()
    file.truncate(size - len(tail) + tail.rfind(b"\n") + 1)
