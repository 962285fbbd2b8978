"""Workers: each takes trials from the queues of a storage, scores them, and ends if none come.

A worker reads images and supernet from the run's folder. It scores nothing if they are not what
the study's trials are scored with (`Scorer.fingerprint`).
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import optuna
from optuna.storages import RDBStorage

from hnas.architecture.space import Space
from hnas.errors import MismatchError
from hnas.persist.difference import differences, listed
from hnas.studies.scoring.backend import Scorer
from hnas.studies.scoring.claim import Claim, ScoredTrial
from hnas.studies.trials.conditions import conditions_of, scorer_of
from hnas.studies.trials.queue import open_queue
from hnas.studies.trials.waiting import IDLE, Pause
from hnas.studies.trials.work_request import StudyQueue, WorkRequest, queues

Load = Callable[[WorkRequest, Space], Scorer]
"""Makes the scorer of a stage that asks for workers."""


@dataclass
class Worker:
    """A worker for the searches of one storage."""

    storage: RDBStorage
    """A database server: `hnas.studies.trials.reach`."""
    load: Load
    studies: Callable[[StudyQueue], bool] = lambda queue: True
    """Chooses the studies to work for."""
    idle: float = IDLE
    on_trial: Callable[[ScoredTrial], None] = lambda trial: None
    _ready: tuple[optuna.Study, Scorer] | None = field(default=None, init=False)

    def work(self) -> int:
        """Scores until no search has asked for workers for `idle` seconds; gives how many trials.

        An error or Ctrl-C ends it earlier and puts its trial back into the queue. Raises
        MismatchError if it would score with something else than the study does.
        """
        scored, since, pause = 0, time.monotonic(), Pause()
        while True:
            found = [queue for queue in queues(self.storage) if self.studies(queue)]
            wanted = [queue for queue in found if queue.request.open]
            filled = next((queue for queue in wanted if queue.waiting), None)
            if filled is not None:
                scored += self._serve(filled)
                pause.reset()
            if wanted:
                since = time.monotonic()
            elif time.monotonic() - since > self.idle:
                return scored
            pause.wait()

    def _serve(self, queue: StudyQueue) -> int:
        """Scores until nothing waits in this study, or it is scored with something else."""
        study, scorer = self._prepared(queue)
        with Claim(study, scorer.fingerprint, queue.request.lease) as claim:
            for arch in claim.archs():
                (score,) = scorer.score([arch])
                self.on_trial(claim.tell(score))
        return claim.scored

    def _prepared(self, queue: StudyQueue) -> tuple[optuna.Study, Scorer]:
        """The study and its scorer, which is loaded if it is not at hand."""
        if self._ready is not None and self._ready[0].study_name == queue.study:
            study, scorer = self._ready
            if scorer_of(study) == scorer.fingerprint:
                return study, scorer
        self._ready = None  # lets go of the one before
        study = open_queue(self.storage, queue.study)
        scorer = self.load(queue.request, conditions_of(study).space)
        if found := differences(scorer_of(study), scorer.fingerprint):
            raise MismatchError(
                f"this worker has not what the study {queue.study!r} is scored with, these must "
                f"be the same:\n{listed(found)}\nGive it the search's folder (--run), images "
                "($HNAS_DATA) and version; nothing was scored with these"
            )
        self._ready = study, scorer
        return study, scorer
