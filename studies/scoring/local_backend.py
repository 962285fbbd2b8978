"""The backend that scores in this process and stores each trial while the next is scored."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from queue import Queue, SimpleQueue
from typing import Self

import optuna

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.errors import StateError
from hnas.scoring.record import Score
from hnas.studies.objective.costs import Costs
from hnas.studies.scoring.backend import Scorer, check_score
from hnas.studies.trials.optuna_inside import storage_of, study_id_of
from hnas.studies.trials.queue import withdraw
from hnas.studies.trials.record import Record
from hnas.studies.trials.trial import write_trial

BACKLOG = 8
"""Finished trials that may wait for the storage before scoring waits for it."""


@dataclass(frozen=True, kw_only=True)
class _Finished:
    """A scored architecture with the naive local times, as Optuna's, of its beginning and end."""

    arch: Arch
    score: Score
    started: datetime
    completed: datetime


def _scored(scorer: Scorer, archs: Sequence[Arch]) -> Iterator[_Finished]:
    """Each of `archs` with its score. Raises StateError if a score is missing or no number."""
    if not archs:
        return
    scores = iter(scorer.score(archs))
    for i, arch in enumerate(archs):
        started, clock = datetime.now(), time.monotonic()
        score = next(scores, None)
        if score is None:
            raise StateError(f"a scorer gives one score an architecture: {i} came for {len(archs)}")
        check_score(score, arch)
        # A clock that is set back meanwhile must not let a trial end before it began.
        spent = timedelta(seconds=time.monotonic() - clock)
        yield _Finished(arch=arch, score=score, started=started, completed=started + spent)


def _record(costs: Costs, number: int, generation: int, finished: _Finished) -> Record:
    spent = costs.spent(finished.arch)
    return Record(
        number=number,
        generation=generation,
        arch=finished.arch,
        accuracy=finished.score.accuracy,
        loss=finished.score.loss,
        macs=spent.macs,
        params=spent.params,
        seconds=finished.score.seconds,
        latency=spent.latency,
    )


class _Writer(AbstractContextManager["_Writer"]):
    """A thread that stores finished trials in order while the next is scored.

    Its context ends when all are stored, even after an error. After a failed write nothing more is
    written, so that a study never has a gap; the next call raises the failure.
    """

    def __init__(self) -> None:
        self._waiting: Queue[Callable[[], Record] | None] = Queue(maxsize=BACKLOG)
        self._stored: SimpleQueue[Record] = SimpleQueue()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="hnas-writer")

    def _work(self) -> None:
        while (write := self._waiting.get()) is not None:
            if self._failure is None:
                try:
                    self._stored.put(write())
                except BaseException as failure:
                    self._failure = failure

    def put(self, write: Callable[[], Record]) -> None:
        """Waits while BACKLOG trials are waiting. Raises what went wrong with an earlier one."""
        if self._failure is not None:
            raise self._failure
        self._waiting.put(write)

    def stored(self) -> Iterator[Record]:
        """What has been stored since the last call, without waiting."""
        while not self._stored.empty():
            yield self._stored.get()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        if self._failure is not None and self._failure is not error:
            raise self._failure


class LocalBackend(_Writer):
    """A `hnas.studies.scoring.backend.Backend` that scores in this process."""

    def __init__(self, study: optuna.Study, space: Space, scorer: Scorer, costs: Costs) -> None:
        super().__init__()
        self._study, self._space, self._scorer, self._costs = study, space, scorer, costs
        self._numbers = itertools.count(storage_of(study).get_n_trials(study_id_of(study)))

    def __enter__(self) -> Self:
        withdraw(self._study)  # what was left for workers is scored here
        return super().__enter__()

    def scored(self, generation: int, archs: Sequence[Arch]) -> Iterator[Record]:
        for finished in _scored(self._scorer, archs):
            record = _record(self._costs, next(self._numbers), generation, finished)
            self.put(partial(self._store, record, finished))
            yield record

    def _store(self, record: Record, finished: _Finished) -> Record:
        write_trial(
            self._study,
            self._space,
            record,
            costs=self._costs,
            started=finished.started,
            completed=finished.completed,
        )
        return record
