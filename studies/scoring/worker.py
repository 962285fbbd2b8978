"""A worker: takes trials from the queues of a storage, scores them and tells, until none is left.

It reads what it scores with, images and supernet, from the run's folder, and scores nothing where
that is not what the study's trials are scored with (`Scorer.fingerprint`).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.errors import MismatchError, StateError, StorageError
from hnas.persist.difference import differences, listed
from hnas.persist.record import restored
from hnas.scoring.record import Score
from hnas.studies.objective.costs import Spent, values
from hnas.studies.scoring.backend import Scorer, check_score
from hnas.studies.scoring.queue_backend import Pause
from hnas.studies.trials.database import open_storage, storage_errors
from hnas.studies.trials.optuna_inside import database_of, trial_id_of
from hnas.studies.trials.queue import (
    ERROR,
    Call,
    Called,
    calls,
    check_shared,
    open_queue,
    put_back,
    take,
)

IDLE = 300.0
"""Seconds in which no search asks for workers, after which a worker ends."""
AGAIN = 2.0
"""Seconds between two tries to reach a storage that is not there yet."""


def reach(url: str, patience: float, note: Callable[[str], None]) -> RDBStorage:
    """The storage, waited for where it is not there yet: workers may be started before the search,
    which makes its tables. Raises InputError at once, StorageError after `patience` seconds."""
    until, told = time.monotonic() + patience, False
    while True:
        try:
            storage = open_storage(url)
            check_shared(storage)
            return storage
        except StorageError as error:
            if time.monotonic() > until:
                raise
            if not told:
                note(f"{error}. It is asked again for {patience:.0f} s")
                told = True
        time.sleep(AGAIN)


Load = Callable[[Call, Space], Scorer]
"""Makes the scorer of a stage that asks for workers."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """A trial that this worker has scored."""

    study: str
    number: int
    score: Score
    kept: bool
    """False where it was scored by another meanwhile, which took this worker for lost."""


class Worker:
    """Works in one storage, a database server (`reach`)."""

    def __init__(
        self,
        storage: RDBStorage,
        load: Load,
        *,
        studies: Callable[[Called], bool] = lambda called: True,
        idle: float = IDLE,
        on_trial: Callable[[Told], None] = lambda told: None,
    ) -> None:
        """`studies` chooses those to work for."""
        self._storage, self._load, self._studies = storage, load, studies
        self._idle, self._on_trial = idle, on_trial
        self._ready: tuple[optuna.Study, Scorer] | None = None

    def work(self) -> int:
        """How many trials it scored, when no search has asked for workers for `idle` seconds.

        What ends it before, an error or Ctrl-C, puts the trial that it had back into the queue.
        Raises MismatchError where it would score with something else than the study does.
        """
        told, since, pause = 0, time.monotonic(), Pause()
        while True:
            found = [called for called in calls(self._storage) if self._studies(called)]
            waiting = next(
                (called for called in found if called.waiting and called.call.open), None
            )
            if waiting is not None:
                told += self._serve(waiting)
                pause.reset()
            if waiting is not None or any(called.call.open for called in found):
                since = time.monotonic()
            elif time.monotonic() - since > self._idle:
                return told
            pause.wait()

    def _serve(self, called: Called) -> int:
        """Scores until nothing waits in this study, or it is scored with something else."""
        study, scorer = self._prepared(called)
        with _Taken(study, scorer.fingerprint, called.call.lease) as taken:
            for arch in taken.archs():
                (score,) = scorer.score([arch])
                self._on_trial(taken.tell(score))
        return taken.told

    def _prepared(self, called: Called) -> tuple[optuna.Study, Scorer]:
        """The study and what it is scored with, which is loaded where that is not at hand."""
        if self._ready is not None and self._ready[0].study_name == called.study:
            study, scorer = self._ready
            if _asked(study) == scorer.fingerprint:
                return study, scorer
        self._ready = None  # lets go of the one before
        study = open_queue(self._storage, called.study)
        with storage_errors(f"the study {called.study!r} cannot be read"):
            space = restored(Space, study.user_attrs["space"])
        scorer = self._load(called.call, space)
        if found := differences(_asked(study), scorer.fingerprint):
            raise MismatchError(
                f"this worker has not what the study {called.study!r} is scored with, these must "
                f"be the same:\n{listed(found)}\nGive it the search's folder (--run), images "
                "($HNAS_DATA) and version; nothing was scored with these"
            )
        self._ready = study, scorer
        return study, scorer


class _Taken:
    """The trial that this worker has, one after the other; a thread tells that it is at work.

    Where an error or Ctrl-C ends it, what it has is put back. An error is counted, so that a trial
    that makes workers fail is not tried for ever.
    """

    def __init__(self, study: optuna.Study, fingerprint: Mapping[str, str], lease: float) -> None:
        self._study, self._fingerprint = study, fingerprint
        self._trial: optuna.Trial | None = None
        self._pulse = _Pulse(study, lease / 5)
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self.told = 0

    def archs(self) -> Iterator[Arch]:
        while (trial := take(self._study)) is not None:
            self._trial = trial
            self._pulse.trial_id = trial_id_of(trial)
            if _asked(self._study) != self._fingerprint:
                self._back()
                return
            with storage_errors(f"trial {trial.number} cannot be kept"):
                trial.set_user_attr("worker", self._owner)
            yield Arch.from_json(trial.user_attrs["arch"])

    def tell(self, score: Score) -> Told:
        """Raises StateError where the score is no number: no other worker shall try that trial."""
        trial = self._trial
        assert trial is not None
        with storage_errors(f"trial {trial.number} cannot be told"):
            try:
                check_score(score, Arch.from_json(trial.user_attrs["arch"]))
            except StateError as error:
                self._finish(trial, {ERROR: str(error)}, state=TrialState.FAIL)
                raise
            found = {"loss": score.loss, "seconds": score.seconds}
            kept = self._finish(trial, found, self._values(trial, score))
        self.told += kept
        return Told(study=self._study.study_name, number=trial.number, score=score, kept=kept)

    def _values(self, trial: optuna.Trial, score: Score) -> list[float]:
        attrs = trial.user_attrs
        latency = attrs.get("latency_ns")
        spent = Spent(macs=attrs["macs"], params=attrs["params"], latency=latency)
        objective = self._study.user_attrs.get("objective", "flops")
        return values(score.accuracy, spent, objective)

    def _finish(
        self, trial: optuna.Trial, attrs: Mapping[str, Any], *told: Any, **more: Any
    ) -> bool:
        """Whether the trial was still this worker's to tell."""
        try:
            for name, value in attrs.items():
                trial.set_user_attr(name, value)
            self._study.tell(trial, *told, **more)
        except (UpdateFinishedTrialError, ValueError):  # ValueError: it waits again
            return False
        finally:
            self._trial = self._pulse.trial_id = None
        return True

    def _back(self, *, counted: bool = False) -> None:
        trial, self._trial = self._trial, None
        self._pulse.trial_id = None
        if trial is not None:
            put_back(self._study, trial_id_of(trial), counted=counted)

    def __enter__(self) -> Self:
        self._pulse.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pulse.stop()
        with suppress(StorageError):  # then the search misses its sign of life
            self._back(counted=isinstance(error, Exception))


class _Pulse(threading.Thread):
    """Signs of life for the trial that is being scored, one every `seconds`: Optuna's heartbeat,
    by the database's clock. Scores that take less need none."""

    def __init__(self, study: optuna.Study, seconds: float) -> None:
        super().__init__(name="hnas-pulse", daemon=True)
        storage = database_of(study)
        assert storage is not None
        self._storage, self._seconds = storage, seconds
        self._ended = threading.Event()
        self.trial_id: int | None = None

    def run(self) -> None:
        while not self._ended.wait(self._seconds):
            if (trial_id := self.trial_id) is not None:
                # One that is missed is no matter, the lease has five.
                with suppress(SQLAlchemyError, StorageInternalError):
                    self._storage.record_heartbeat(trial_id)
        self._storage.remove_session()

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _asked(study: optuna.Study) -> dict[str, Any]:
    """What the study's trials are scored with, as it is now."""
    with storage_errors(f"the study {study.study_name!r} cannot be read"):
        return dict(study.user_attrs["scorer"])
