"""The backend that scores in this process and stores each trial while the next is scored."""

import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from queue import Queue, SimpleQueue
from typing import Self

import optuna

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.errors import StateError
from hnas.scoring.record import Score
from hnas.studies.objective.costs import Costs
from hnas.studies.scoring.backend import Scorer, check_score
from hnas.studies.trials.queue import withdraw
from hnas.studies.trials.record import Record
from hnas.studies.trials.trial import next_number, write_trial

BACKLOG = 8
"""Finished trials that may wait for the storage before scoring waits for it."""


def _scored(
    scorer: Scorer, archs: Sequence[Arch]
) -> Iterator[tuple[Arch, Score, datetime, datetime]]:
    """Each of `archs`, its score, and the naive local times, as Optuna's, of its begin and end.

    Raises StateError if a score is missing or no number.
    """
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
        yield arch, score, started, started + spent


class LocalBackend(AbstractContextManager["LocalBackend"]):
    """A `hnas.studies.scoring.backend.Backend`; a thread stores its trials in their order.

    Its context ends when all are stored, even after an error. After a failed write nothing more is
    written, so that a study never has a gap; the next trial raises the failure.
    """

    def __init__(self, study: optuna.Study, space: Space, scorer: Scorer, costs: Costs) -> None:
        self._study, self._space, self._scorer, self._costs = study, space, scorer, costs
        self._numbers = itertools.count(next_number(study))
        self._waiting: Queue[tuple[Record, datetime, datetime] | None] = Queue(maxsize=BACKLOG)
        self._stored: SimpleQueue[Record] = SimpleQueue()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._write, name="hnas-writer")

    def scored(self, generation: int, archs: Sequence[Arch]) -> Iterator[Record]:
        """Waits while BACKLOG trials are waiting. Raises what went wrong with an earlier one."""
        for arch, score, started, completed in _scored(self._scorer, archs):
            record = Record(
                number=next(self._numbers),
                generation=generation,
                arch=arch,
                accuracy=score.accuracy,
                loss=score.loss,
                seconds=score.seconds,
                error=score.error,
                right=score.right,
                **vars(self._costs.spent(arch)),
            )
            if self._failure is not None:
                raise self._failure
            self._waiting.put((record, started, completed))
            yield record

    def stored(self) -> Iterator[Record]:
        while not self._stored.empty():
            yield self._stored.get()

    def _write(self) -> None:
        study, space, costs = self._study, self._space, self._costs
        while (finished := self._waiting.get()) is not None:
            record, started, completed = finished
            if self._failure is None:
                try:
                    write_trial(
                        study, space, record, costs=costs, started=started, completed=completed
                    )
                    self._stored.put(record)
                except BaseException as failure:
                    self._failure = failure

    def __enter__(self) -> Self:
        withdraw(self._study)  # what was left for workers is scored here
        self._thread.start()
        return self

    def __exit__(self, kind: object, error: object, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        if self._failure is not None and self._failure is not error:
            raise self._failure
