"""A run's split: which of its images are trained on, scored on and tested on. Knows no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hnas.errors import StateError
from hnas.persist.record import recorded
from hnas.studies.run.folder import SPLIT, Run

if TYPE_CHECKING:
    from hnas.data import Split


WRONG, ADVICE = "is no split of images", "Restore it, or use another --run"


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many images each part of a split has."""

    train: int
    held_out: int


def read_sizes(run: Run) -> Sizes | None:
    """How the run's images are split; None if they are not yet. Raises StateError if damaged."""
    value = run.read(SPLIT)
    try:
        if value is None:
            return None
        return Sizes(train=len(value["train"]), held_out=len(value["held_out"]))
    except (KeyError, TypeError) as error:
        found = f"{type(error).__name__}: {error}"
        raise StateError(f"{run.folder / SPLIT} {WRONG} ({found}). {ADVICE}") from None


def read_split(run: Run) -> Split | None:
    """The run's split; None if there is none yet. Raises StateError if damaged."""
    from hnas.data import Split

    return run.restore(SPLIT, Split, WRONG, ADVICE)


def write_split(run: Run, split: Split) -> None:
    """The inverse of `read_split`. Raises StateError."""
    run.write(SPLIT, recorded(split))
