"""Marks of a study: attributes that say how a stage ended and what it handed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import optuna

from hnas.architecture.arch import Arch
from hnas.errors import InputError, RowError
from hnas.persist.record import later, recorded, restored
from hnas.studies.trials.database import CHANGED, storage_errors
from hnas.studies.trials.study import set_attribute


@dataclass(frozen=True, kw_only=True)
class HandedArch:
    """One architecture, whose distribution the next stage keeps; both studies have the mark."""

    rule: str
    trial: int
    """Its number in the study that handed it over."""
    arch: Arch
    retrained: Mapping[str, float] | None = later(None)
    """Held-out accuracies by trial, if the rule is to retrain the best."""
    giver: str | None = later(None)
    """The study that handed it over, in JSON `from`; None in that study itself."""
    to: str | None = later(None)
    """The study that continues from it; None in that study itself, and before there is one."""

    def to_dict(self) -> dict[str, Any]:
        return {"from" if name == "giver" else name: v for name, v in recorded(self).items()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> HandedArch:
        """Raises InputError if it is no such mark."""
        if not isinstance(value, Mapping):
            raise InputError(f"a hand-off must be an object, got {value!r}")
        names = {"giver" if name == "from" else name: each for name, each in value.items()}
        return restored(cls, names)


@dataclass(frozen=True, kw_only=True)
class HandedFront:
    """The architectures that the first generation of the next stage begins with."""

    archs: tuple[Arch, ...]
    to: str | None = later(None)
    """The study that begins with them; None before there is one."""


@dataclass(frozen=True, kw_only=True)
class SmoothedPick:
    """What a stage's best trials were picked by, if not by their scores alone."""

    r2: float | None
    """Of the smoothed scores, cross-validated; None if there were too few trials."""
    counts: bool
    """Whether they were picked by smoothed scores; else by their scores after all."""
    picked: Mapping[str, tuple[float, ...]]
    """By trial, best first: its smoothed score, and the standard error of that."""
    what: str = later("accuracy")
    """What was smoothed: `accuracy`, or `loss`."""


@dataclass(frozen=True, kw_only=True)
class Marks:
    """The marks of one study, each an attribute of its name."""

    handoff: HandedArch | None = later(None)
    front: HandedFront | None = later(None)
    smoothed: SmoothedPick | None = later(None)
    exhausted: bool = later(False)
    """Everything within the limits has been scored: more trials cannot be had."""


def read_marks(study: str, attrs: Mapping[str, Any]) -> Marks:
    """The marks of a study by its name and attributes. Raises RowError if one is damaged."""
    try:
        return restored(Marks, {f.name: attrs[f.name] for f in fields(Marks) if f.name in attrs})
    except InputError as error:
        raise RowError(f"the study {study!r} has a damaged mark: {error}. {CHANGED}") from None


def marks_of(study: optuna.Study) -> Marks:
    """The marks of a study, as they are now. Raises RowError, StorageError."""
    with storage_errors(f"the study {study.study_name!r} cannot be read"):
        return read_marks(study.study_name, study.user_attrs)


def write_marks(study: optuna.Study, marks: Marks) -> None:
    """Adds marks to a study; it keeps those that it has. Raises StorageError."""
    for name, value in recorded(marks).items():
        with storage_errors(f"the mark {name!r} of {study.study_name!r} cannot be stored"):
            set_attribute(study, name, value)
