"""The backend that scores by workers: a generation goes into the queue and comes back scored.

Trials go in by `Arch.key`, as one process scores them. So they get the same numbers.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import optuna
from optuna.trial import TrialState

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.errors import StateError
from hnas.studies.objective.costs import Costs
from hnas.studies.scoring.backend import Scorer
from hnas.studies.trials.database import storage_errors
from hnas.studies.trials.optuna_inside import storage_of
from hnas.studies.trials.queue import ERROR, TrialView, look, put, put_back, withdraw
from hnas.studies.trials.record import Record
from hnas.studies.trials.trial import records, waiting_trial
from hnas.studies.trials.waiting import LEASE, PAUSES, Pause

ALONE = 30.0
"""Seconds without a worker that takes a trial, after which the search says so."""


@dataclass
class QueueBackend(AbstractContextManager["QueueBackend"]):
    """A `hnas.studies.scoring.backend.Backend` whose scores come from workers."""

    study: optuna.Study
    space: Space
    scorer: Scorer
    """Not used: workers have their own."""
    costs: Costs
    lease: float = LEASE
    note: Callable[[str], None] = lambda text: None
    _stored: deque[Record] = field(default_factory=deque, init=False)

    def scored(self, generation: int, archs: Sequence[Arch]) -> Iterator[Record]:
        """Raises StateError if a trial cannot be scored, StorageError."""
        left = set(self._put(generation, archs))
        signs, pause, alone = _Signs(self.lease), Pause(), _Alone(self.note)
        while left:
            seen = look(self.study, left)
            self._check(left, seen)
            done = {i for i, trial in seen.items() if trial.state is TrialState.COMPLETE}
            for record in records(self.study, done) if done else ():
                self._stored.append(record)
                yield record
            left -= done
            for trial_id, last in signs.lost(seen):
                put_back(self.study, trial_id, counted=True, last=last)
            alone.look(seen)
            if done:
                pause.reset()
            elif left:
                pause.wait()

    def stored(self) -> Iterator[Record]:
        while self._stored:
            yield self._stored.popleft()

    def _put(self, generation: int, archs: Sequence[Arch]) -> list[int]:
        space, costs = self.space, self.costs
        trials = {
            arch.to_json(): waiting_trial(space, arch, generation, costs.spent(arch), costs)
            for arch in archs
        }
        return list(put(self.study, trials).values())

    def _check(self, left: set[int], seen: Mapping[int, TrialView]) -> None:
        if missing := left - seen.keys():
            raise StateError(
                f"{len(missing)} trials of the study {self.study.study_name!r} were deleted while "
                "they waited for workers. Run it again: what is finished is kept"
            )
        for trial_id, trial in seen.items():
            if trial.state.is_finished() and trial.state is not TrialState.COMPLETE:
                with storage_errors("a failed trial cannot be read"):
                    found = storage_of(self.study).get_trial(trial_id)
                reason = found.user_attrs.get(ERROR, "another program marked it so")
                raise StateError(
                    f"trial {found.number} of the study {self.study.study_name!r} failed: "
                    f"{reason}. Run it again: what is finished is kept, and it is tried again"
                )

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:  # else the trials wait until the search resumes
            withdraw(self.study)


class _Signs:
    """Signs of life of workers, without comparing clocks.

    A worker is lost if its trial runs and looks the same for a whole lease. Only the time between
    two looks counts, so that no worker is lost because a database or a search was away.
    """

    def __init__(self, lease: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._lease, self._clock = lease, clock
        self._last = clock()
        self._same: dict[int, tuple[TrialView, float]] = {}

    def lost(self, seen: Mapping[int, TrialView]) -> list[tuple[int, TrialView]]:
        now = self._clock()
        step, self._last = min(now - self._last, 2 * PAUSES[1]), now
        before: dict[int, tuple[TrialView | None, float]] = {**self._same}
        self._same = {}
        for trial_id, trial in seen.items():
            if trial.state is TrialState.RUNNING:
                last, age = before.get(trial_id, (None, 0.0))
                self._same[trial_id] = (trial, age + step if last == trial else 0.0)
        return [(i, trial) for i, (trial, age) in self._same.items() if age > self._lease]


class _Alone:
    """Reports, once a generation, that there is no worker."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note: Callable[[str], None] | None = note
        self._since = time.monotonic()

    def look(self, seen: Mapping[int, TrialView]) -> None:
        if any(trial.state is not TrialState.WAITING for trial in seen.values()):
            self._since = time.monotonic()
        elif self._note is not None and time.monotonic() - self._since > ALONE:
            self._note(
                f"{len(seen)} trials wait and no worker takes one. Start some: hnas worker "
                "--storage with the same URL"
            )
            self._note = None
