"""Workers: each takes trials from the queues of a storage, scores them, and ends if none come.

A worker reads images and supernet from the run's folder. It scores nothing if they are not what
the study's trials are scored with (`Scorer.fingerprint`).
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import optuna
from optuna.storages import RDBStorage

from hnas.architecture.space import Space
from hnas.errors import MismatchError, RowError
from hnas.persist.difference import differences, listed
from hnas.studies.run.provenance import changed
from hnas.studies.scoring.backend import Scorer
from hnas.studies.scoring.claim import Claim, ScoredTrial
from hnas.studies.trials.conditions import conditions_of, scorer_of
from hnas.studies.trials.study import open_study
from hnas.studies.trials.waiting import IDLE, Pause
from hnas.studies.trials.work_request import StudyQueue, WorkRequest, queues

Load = Callable[[WorkRequest, Space], Scorer]
"""Makes the scorer of a stage that asks for workers."""


@dataclass(frozen=True)
class _Ready:
    """A study that a worker scores for."""

    study: optuna.Study
    space: Space
    scorer: Scorer


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
    note: Callable[[str], None] = lambda text: None
    versions: Mapping[str, str] = field(default_factory=dict)
    """Of this worker's hnas and libraries; a search says its own."""
    _ready: _Ready | None = field(default=None, init=False)
    _noted: set[str] = field(default_factory=set, init=False)

    def work(self) -> int:
        """Scores until no search has asked for workers for `idle` seconds; gives how many trials.

        An error or Ctrl-C ends it earlier and puts its trial back into the queue. A study that
        others deleted or changed is passed over; `note` says why, once. Raises MismatchError if it
        would score with something else than the study does.
        """
        scored, since, pause = 0, time.monotonic(), Pause()
        passed: set[str] = set()
        while True:
            found = [queue for queue in queues(self.storage, self._note) if self.studies(queue)]
            wanted = [queue for queue in found if queue.request.open and self._fits(queue)]
            filled = [queue for queue in wanted if queue.waiting]
            for queue in filled:
                try:
                    scored += self._serve(queue)
                    passed.discard(queue.study)
                    pause.reset()
                    break  # the oldest first, again
                except RowError as error:
                    self._ready = None
                    self._note(str(error))
                    passed.add(queue.study)
            wanted = [queue for queue in wanted if queue.study not in passed]
            if wanted:
                since = time.monotonic()
            elif time.monotonic() - since > self.idle:
                return scored
            pause.wait()

    def _note(self, text: str) -> None:
        if text not in self._noted:
            self._noted.add(text)
            self.note(text)

    def _fits(self, queue: StudyQueue) -> bool:
        """Whether this worker has the search's release of hnas; other differences are noted."""
        found = changed(queue.request.versions or {}, self.versions)
        told = ", ".join(f"{name} {its} (here {ours})" for name, (its, ours) in found.items())
        what = f"the study {queue.study!r} is searched with {told}"
        if len({version.partition(" ")[0] for version in found.get("hnas", ())}) > 1:
            self._note(f"{what}: it is passed over. Start workers of the search's version of hnas")
            return False
        if found:
            self._note(f"{what}: last digits may differ")
        return True

    def _serve(self, queue: StudyQueue) -> int:
        """Scores until nothing waits in this study, or it is scored with something else."""
        ready = self._prepared(queue)
        claim = Claim(ready.study, ready.space, ready.scorer.fingerprint, queue.request.lease)
        with claim:
            for archs in claim.batches():
                scores = ready.scorer.score(archs)
                for _, score in zip(archs, scores, strict=True):
                    for told in claim.tell(score):
                        self.on_trial(told)
        return claim.scored

    def _prepared(self, queue: StudyQueue) -> _Ready:
        """The study and its scorer, which is loaded if it is not at hand."""
        ready = self._ready
        same = ready is not None and ready.study.study_name == queue.study
        if ready is not None and same and scorer_of(ready.study) == ready.scorer.fingerprint:
            return ready
        self._ready = None  # lets go of the one before
        study = open_study(self.storage, queue.study)
        space = conditions_of(study).space
        scorer = self.load(queue.request, space)
        if found := differences(scorer_of(study), scorer.fingerprint):
            raise MismatchError(
                f"this worker has not what the study {queue.study!r} is scored with, these must "
                f"be the same:\n{listed(found)}\nGive it the search's folder (--run), images "
                "($HNAS_DATA) and version; nothing was scored with these"
            )
        self._ready = _Ready(study, space, scorer)
        return self._ready
