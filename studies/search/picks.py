"""Picks: the trials of a stage that are handed over or retrained."""

from collections.abc import Sequence

from hnas.studies.search.session import Session
from hnas.studies.trials.marks import Marks, SmoothedPick, write_marks
from hnas.studies.trials.record import Record
from hnas.studies.trials.smoothing import SMOOTHED, picked, smoothed


def best(session: Session, stage: int, found: Sequence[Record], top: int) -> list[Record]:
    """The `top` of a stage's trials, best first, by the plan's `search.pick`. The study keeps their
    smoothed scores, if these are asked for. Raises StorageError if it cannot."""
    asked = session.plan.search
    what = SMOOTHED.get(asked.pick)
    smooth = smoothed(found, what) if what else None
    chosen = picked(found, top, asked.objective, smooth)
    if what:
        values = smooth.of(chosen) if smooth else {}
        mark = SmoothedPick(
            what=what,
            r2=smooth.r2 if smooth else None,
            counts=smooth is not None and smooth.counts,
            picked={f"{number}": value for number, value in values.items()},
        )
        write_marks(session.study(stage), Marks(smoothed=mark))
    return chosen
