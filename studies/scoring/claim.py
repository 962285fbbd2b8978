"""Claims of trials: the one that a worker holds, its signs of life, its end in the storage."""

import os
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any, Self

import optuna
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import TrialState
from sqlalchemy.exc import SQLAlchemyError

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.errors import InputError, StateError, StorageError
from hnas.scoring.record import Score
from hnas.studies.objective.costs import values
from hnas.studies.scoring.backend import check_score
from hnas.studies.trials.conditions import objective_of, scorer_of
from hnas.studies.trials.database import storage_errors
from hnas.studies.trials.encoding import used
from hnas.studies.trials.optuna_inside import database_of, trial_id_of
from hnas.studies.trials.queue import ERROR, OWNER, fail, put_back, take
from hnas.studies.trials.record import arch_of, score_attributes, spent_of


@dataclass(frozen=True, kw_only=True)
class ScoredTrial:
    """A trial that this worker has scored."""

    study: str
    number: int
    score: Score
    kept: bool
    """False if another worker scored it meanwhile, because the search took this one for lost."""


class Claim(AbstractContextManager["Claim"]):
    """The trials that a worker takes from one study, one after the other; a thread signs for each.

    If an error or Ctrl-C ends the context, its trial goes back into the queue. An error is counted,
    so that a trial that makes workers fail is not tried for ever.
    """

    def __init__(
        self, study: optuna.Study, space: Space, fingerprint: Mapping[str, str], lease: float
    ) -> None:
        self._study, self._space, self._fingerprint = study, space, fingerprint
        self._trial: optuna.Trial | None = None
        self._pulse = Pulse(study, lease / 5)
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self.scored = 0

    def archs(self) -> Iterator[Arch]:
        """Architectures to score, until none waits or the study asks for other weights. A trial
        that cannot be scored fails at once, for all workers."""
        while (trial := take(self._study)) is not None:
            self._trial = trial
            self._pulse.trial_id = trial_id_of(trial)
            if scorer_of(self._study) != self._fingerprint:
                self._back()
                return
            with storage_errors(f"trial {trial.number} cannot be kept"):
                trial.set_user_attr(OWNER, self._owner)
            try:
                arch = self._arch(trial)
            except (KeyError, TypeError, ValueError, InputError) as error:
                self._trial = self._pulse.trial_id = None
                what = f"the trial is damaged: {type(error).__name__}: {error}"
                fail(self._study, trial_id_of(trial), what)
                continue
            yield arch

    def _arch(self, trial: optuna.Trial) -> Arch:
        """What a trial asks to be scored. Raises InputError, KeyError, TypeError or ValueError if
        it is not of the study's space, or does not say what it costs."""
        arch, spent = arch_of(trial.user_attrs), spent_of(trial.user_attrs)
        used(self._space, arch)
        if bad := [each for each in (spent.macs, spent.params) if type(each) is not int]:
            raise TypeError(f"its costs must be counts, got {bad[0]!r}")
        return arch

    def tell(self, score: Score) -> ScoredTrial:
        """Stores the score of the trial. Raises StateError if it is no number: no other worker
        shall try that trial."""
        trial = self._trial
        assert trial is not None
        with storage_errors(f"trial {trial.number} cannot be stored"):
            try:
                check_score(score, arch_of(trial.user_attrs))
            except StateError as error:
                self._finish(trial, {ERROR: str(error)}, state=TrialState.FAIL)
                raise
            found = score_attributes(score)
            costs, objective = spent_of(trial.user_attrs), objective_of(self._study)
            kept = self._finish(trial, found, values(score.accuracy, costs, objective))
        self.scored += kept
        name = self._study.study_name
        return ScoredTrial(study=name, number=trial.number, score=score, kept=kept)

    def _finish(
        self, trial: optuna.Trial, attrs: Mapping[str, Any], *told: Any, **more: Any
    ) -> bool:
        """Whether the trial was still this worker's."""
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

    def __exit__(self, kind: object, error: object, *_: object) -> None:
        self._pulse.stop()
        with suppress(StorageError):  # then the search misses its sign of life
            self._back(counted=isinstance(error, Exception))


class Pulse(threading.Thread):
    """Signs of life for the trial that is being scored, one every `seconds`.

    They are Optuna's heartbeats, by the database's clock. A score that takes less needs none.
    """

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
                # One may be missed: a lease has five.
                with suppress(SQLAlchemyError, StorageInternalError):
                    self._storage.record_heartbeat(trial_id)
        self._storage.remove_session()

    def stop(self) -> None:
        self._ended.set()
        self.join()
