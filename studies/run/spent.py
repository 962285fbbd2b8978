"""The time that a run has taken so far, if `hnas compare` searched it."""

from dataclasses import dataclass

from hnas.persist.record import recorded
from hnas.studies.run.folder import Run

FILE = "spent.json"


@dataclass(frozen=True, kw_only=True)
class TimeSpent:
    """Time so far, in all sessions that ended; a kill forgets the one that it interrupts."""

    seconds: float
    """On the clock."""
    cpu_seconds: float


def read_spent(run: Run) -> TimeSpent | None:
    """None if nobody has measured it. Raises StateError if the file is damaged."""
    return run.restore(FILE, TimeSpent, "is no time that a run took", "Delete it")


def add_spent(run: Run, more: TimeSpent) -> None:
    """Adds to what the run has taken. Raises StateError."""
    before = read_spent(run) or TimeSpent(seconds=0.0, cpu_seconds=0.0)
    total = TimeSpent(
        seconds=before.seconds + more.seconds, cpu_seconds=before.cpu_seconds + more.cpu_seconds
    )
    run.write(FILE, recorded(total))
