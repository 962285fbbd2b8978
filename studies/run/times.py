"""The time that each step of a run took, in all its sessions: `times.json`. Imports no torch."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from hnas.errors import StateError
from hnas.persist.record import recorded
from hnas.studies.run.folder import Run

FILE = "times.json"
EVERY = 10.0
"""Seconds between two writes within a step: the most that a kill forgets, if the step ticks."""


@dataclass(frozen=True, kw_only=True)
class Times:
    """Seconds on the clock by step: `supernet of stage1`, `trials of stage1`, `the teacher`,
    `networks alone`, `the test`, `latency table`."""

    seconds: Mapping[str, float]

    @property
    def total(self) -> float:
        return sum(self.seconds.values())


def read_times(run: Run) -> Times:
    """Empty for a run that began before times were kept. Raises StateError if it is damaged."""
    found = run.restore(FILE, Times, "is no times of a run's steps", "Delete it")
    return found or Times(seconds={})


class Clock:
    """Measures the steps of one session and adds them to the run's. Hold the run.

    Of steps within each other the inner one counts.
    """

    def __init__(self, run: Run, now: Callable[[], float] = time.monotonic) -> None:
        self._run, self._now = run, now
        self._seconds = dict(read_times(run).seconds)
        self._steps: list[str] = []
        self._at = self._kept = now()

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Counts the time inside as the step's."""
        self._count()
        self._steps.append(name)
        try:
            yield
        finally:
            self._count()
            self._steps.pop()
            self._keep()

    def tick(self) -> None:
        """Keeps what was counted so far, once in EVERY seconds."""
        self._count()
        if self._now() - self._kept >= EVERY:
            self._keep()

    def _count(self) -> None:
        now = self._now()
        if self._steps:
            name = self._steps[-1]
            self._seconds[name] = self._seconds.get(name, 0.0) + now - self._at
        self._at = now

    def _keep(self) -> None:
        rounded = {name: round(seconds, 3) for name, seconds in self._seconds.items()}
        with suppress(StateError):  # a full disk ends the search where it loses more
            self._run.write(FILE, recorded(Times(seconds=rounded)))
        self._kept = self._now()
