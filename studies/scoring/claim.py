"""Claims of trials: those that a worker holds, their signs of life, their end in the storage."""

import math
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.errors import InputError, StateError, StorageError
from hnas.scoring.record import Score
from hnas.studies.objective.costs import values
from hnas.studies.scoring.backend import check_score
from hnas.studies.trials.conditions import asked_of
from hnas.studies.trials.encoding import used
from hnas.studies.trials.optuna_inside import database_of
from hnas.studies.trials.queue import fail, put_back
from hnas.studies.trials.record import arch_of, score_attributes, spent_of
from hnas.studies.trials.taking import Finished, Taken, damage, finish, take

OFTEN = 0.5
"""Seconds after which a score does not wait for those of its batch to be stored."""
QUICK, MOST = 0.1, 8
"""Seconds that a share takes at least, because taking one costs some hundredths of CPU; trials of
which it may consist for that."""


@dataclass(frozen=True, kw_only=True)
class ScoredTrial:
    """A trial that this worker has scored."""

    study: str
    number: int
    score: Score
    kept: bool
    """False if another worker scored it meanwhile, because the search took this one for lost."""


class Claim(AbstractContextManager["Claim"]):
    """The trials that a worker takes from one study, batch by batch; a thread signs for them.

    If an error or Ctrl-C ends the context, what is scored is stored, and the rest goes back into
    the queue. An error is counted for the trial that was being scored, so that a trial that makes
    workers fail is not tried for ever.
    """

    def __init__(
        self, study: optuna.Study, space: Space, fingerprint: Mapping[str, str], lease: float
    ) -> None:
        self._study, self._space, self._fingerprint = study, space, fingerprint
        self._held: deque[Taken] = deque()
        self._done: list[tuple[Taken, Score, Finished]] = []
        self._pulse = Pulse(study, lease / 5)
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._began, self._stored, self._objective = datetime.now(), 0.0, ""
        self._least = 1
        self.scored = 0

    def batches(self) -> Iterator[list[Arch]]:
        """Architectures to score, neighbours in the queue, until none waits or the study asks for
        other weights. A trial that cannot be scored fails at once, for all workers."""
        while taken := take(self._study, self._owner, self._least):
            self._held.extend(taken)
            self._pulse.trial_ids = [trial.trial_id for trial in taken]
            scorer, self._objective = asked_of(self._study)
            if scorer != self._fingerprint:
                return self._back(counted=False)
            archs = [arch for trial in taken if (arch := self._asked(trial)) is not None]
            began = time.monotonic()
            self._began, self._stored = datetime.now(), began
            if archs:
                yield archs
                each = (time.monotonic() - began) / len(archs)
                self._least = min(math.ceil(QUICK / max(each, 1e-9)), MOST)  # a clock may stand

    def _asked(self, trial: Taken) -> Arch | None:
        """What a trial asks to be scored; None if it fails, because it is not of the study's space
        or does not say what it costs."""
        try:
            arch, spent = arch_of(trial.attrs), spent_of(trial.attrs)
            used(self._space, arch)
            if bad := [each for each in (spent.macs, spent.params) if type(each) is not int]:
                raise TypeError(f"its costs must be counts, got {bad[0]!r}")
        except (KeyError, TypeError, ValueError, InputError) as error:
            self._held.remove(trial)
            fail(self._study, trial.trial_id, damage(error))
            return None
        return arch

    def tell(self, score: Score) -> list[ScoredTrial]:
        """Takes the score of the batch's next architecture; gives the trials that it stored.

        It stores those of the batch in one transaction, at its end or after OFTEN seconds. Raises
        StateError if the score is no number: no other worker shall try that trial.
        """
        trial = self._held[0]
        try:
            check_score(score, arch_of(trial.attrs))
        except StateError as error:
            self._held.popleft()
            fail(self._study, trial.trial_id, str(error))
            self._back(counted=False)
            raise
        began, self._began = self._began, max(datetime.now(), self._began)
        found = Finished(
            trial_id=trial.trial_id,
            values=values(score.accuracy, spent_of(trial.attrs), self._objective),
            attrs=score_attributes(score),
            started=began,
            completed=self._began,
        )
        self._done.append((trial, score, found))
        self._held.popleft()
        waits = self._held and time.monotonic() - self._stored < OFTEN
        return [] if waits else self._store()

    def _store(self) -> list[ScoredTrial]:
        done = self._done
        kept = finish(self._study, [found for _, _, found in done])
        self._done, self._stored = [], time.monotonic()
        self._pulse.trial_ids = [trial.trial_id for trial in self._held]
        self.scored += len(kept)
        name = self._study.study_name
        return [
            ScoredTrial(study=name, number=it.number, score=score, kept=it.trial_id in kept)
            for it, score, _ in done
        ]

    def _back(self, *, counted: bool) -> None:
        """Stores what is scored and puts the rest back; the first of it may count as the reason."""
        if self._done:
            self._store()
        while self._held:
            put_back(self._study, self._held.popleft().trial_id, counted=counted)
            counted = False
        self._pulse.trial_ids = ()

    def __enter__(self) -> Self:
        self._pulse.start()
        return self

    def __exit__(self, kind: object, error: object, *_: object) -> None:
        self._pulse.stop()
        with suppress(StorageError):  # then the search misses its sign of life
            self._back(counted=isinstance(error, Exception))


class Pulse(threading.Thread):
    """Signs of life for the trials that a worker holds, one every `seconds`.

    They are Optuna's heartbeats, by the database's clock. A score that takes less needs none.
    """

    def __init__(self, study: optuna.Study, seconds: float) -> None:
        super().__init__(name="hnas-pulse", daemon=True)
        storage = database_of(study)
        assert storage is not None
        self._storage, self._seconds = storage, seconds
        self._ended = threading.Event()
        self.trial_ids: Sequence[int] = ()

    def run(self) -> None:
        while not self._ended.wait(self._seconds):
            for trial_id in self.trial_ids:
                # One may be missed: a lease has five.
                with suppress(SQLAlchemyError, StorageInternalError):
                    self._storage.record_heartbeat(trial_id)
        self._storage.remove_session()

    def stop(self) -> None:
        self._ended.set()
        self.join()
