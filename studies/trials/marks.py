"""Marks of a study: attributes that say how a stage ended and what it handed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import optuna

from hnas.architecture.arch import Arch
from hnas.persist.record import later, recorded, restored
from hnas.studies.trials.database import storage_errors

HANDOFF, FRONT, EXHAUSTED = "handoff", "front", "exhausted"


@dataclass(frozen=True, kw_only=True)
class Handoff:
    """One architecture, whose distribution the next stage keeps; both studies have the mark."""

    rule: str
    trial: int
    """Its number in the study that handed it over."""
    arch: Arch
    retrained: Mapping[str, float] | None = later(None)
    """Held-out accuracies by trial, if the rule is to retrain the best."""
    giver: str | None = later(None)
    """The study that handed it over; None in that study itself."""
    to: str | None = later(None)
    """The study that goes on from it; None in that study itself."""

    def to_dict(self) -> dict[str, Any]:
        return {"from" if name == "giver" else name: v for name, v in recorded(self).items()}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Handoff:
        """Raises InputError if it is no such mark."""
        names = {"giver" if name == "from" else name: each for name, each in value.items()}
        return restored(cls, names)


@dataclass(frozen=True, kw_only=True)
class HandedFront:
    """The architectures that the first generation of the next stage begins with."""

    archs: tuple[Arch, ...]
    to: str
    """The study that begins with them."""


def read_handoff(attrs: Mapping[str, Any]) -> Handoff | None:
    """The study's mark of a hand-off, if it has one. Raises InputError if it is damaged."""
    return Handoff.from_dict(attrs[HANDOFF]) if HANDOFF in attrs else None


def write_handoff(study: optuna.Study, mark: Handoff) -> None:
    """The inverse of `read_handoff`. Raises StorageError."""
    with storage_errors(f"the hand-off of {study.study_name!r} cannot be stored"):
        study.set_user_attr(HANDOFF, mark.to_dict())


def read_front(attrs: Mapping[str, Any]) -> HandedFront | None:
    """The study's front that was handed over, if it was. Raises InputError if it is damaged."""
    return restored(HandedFront, attrs[FRONT]) if FRONT in attrs else None


def write_front(study: optuna.Study, mark: HandedFront) -> None:
    """The inverse of `read_front`. Raises StorageError."""
    with storage_errors(f"the front of {study.study_name!r} cannot be stored"):
        study.set_user_attr(FRONT, recorded(mark))


def is_exhausted(attrs: Mapping[str, Any]) -> bool:
    """Whether everything within the limits has been scored: more trials cannot be had."""
    return bool(attrs.get(EXHAUSTED))


def mark_exhausted(study: optuna.Study) -> None:
    """Raises StorageError."""
    with storage_errors(f"that {study.study_name!r} is exhausted cannot be stored"):
        study.set_user_attr(EXHAUSTED, True)
