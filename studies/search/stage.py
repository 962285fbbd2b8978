"""One stage of a search: generations are proposed, scored and stored until the trials are spent.

Every stage runs this; they differ in their space, in the scorer and in what proposes.
"""

from __future__ import annotations

import itertools
import json
import math
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from queue import Queue, SimpleQueue
from types import TracebackType
from typing import Any, Protocol, Self

import optuna

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.errors import InputError, MismatchError, StateError
from hnas.persist.difference import differences, listed
from hnas.persist.record import recorded
from hnas.scoring.record import Score
from hnas.studies.objective.costs import Costs, minimised, point
from hnas.studies.objective.pareto import hypervolume, pareto
from hnas.studies.proposers.base import Proposer
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.trials.database import storage_errors
from hnas.studies.trials.queue import withdraw
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import records, write_trial

__all__ = [
    "Record",
    "Scorer",
    "SearchRules",
    "StageResult",
    "TrialEvent",
    "best_by_score",
    "check_score",
    "front",
    "records",
    "run_stage",
]

BACKLOG = 8
"""Finished trials that may wait for the storage before scoring waits for it."""


@dataclass(frozen=True, kw_only=True)
class SearchRules:
    """How a stage searches. Raises InputError where a value breaks its rule."""

    trials: int
    """Trials in all; a resumed or continued stage counts those it has."""
    population: int = 50
    """Trials a generation."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, least in (("trials", 1), ("population", 2), ("seed", 0)):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InputError(f"{name} must be a whole number >= {least}, got {value!r}")


class Scorer(Protocol):
    """What scores architectures with inherited weights."""

    @property
    def fingerprint(self) -> dict[str, str]:
        """What scores are comparable under: weights, held-out images, recalibration."""

    def score(self, archs: Sequence[Arch]) -> Iterator[Score]:
        """One Score for each of `archs`, in their order."""


class Scoring(Protocol):
    """Where the architectures of a generation get their scores and are stored; used as a context
    around a whole stage."""

    def scored(self, generation: int, archs: Sequence[Arch]) -> Iterator[Record]:
        """A record for each of `archs`, in any order, each as soon as there is its score."""

    def stored(self) -> Iterator[Record]:
        """What has been stored since the last call, without waiting. When the context has been left
        without an error: all the rest."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


@dataclass(frozen=True, kw_only=True)
class TrialEvent:
    """A trial has been scored and stored: it survives whatever comes."""

    number: int
    """Of the trial in its study, from 0."""
    generation: int
    arch: Arch
    macs: int
    best_accuracy: float
    """The highest of the study so far."""
    best_macs: int
    """What the best costs, the cheapest of equals."""
    hypervolume: float
    """Of the study so far: `hnas.studies.objective.pareto`, 0 to 1."""
    done: int
    """Trials the study has with this one."""
    trials: int
    """Trials it shall have."""
    best_latency: int | None = None
    """Nanoseconds of a batch that the best takes; None where the search has no latencies."""


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """What a stage found."""

    records: tuple[Record, ...]
    """Every trial of the study, by number."""
    scored: int
    """Trials of them that this run scored."""
    exhausted: bool
    """No further architecture within the budget was found: fewer trials than asked."""


def front(source: optuna.Study | Iterable[Record], objective: str = "flops") -> list[Record]:
    """The trials that no other dominates, by rising costs. Of equal ones the first."""
    found = records(source) if isinstance(source, optuna.Study) else list(source)
    return [found[i] for i in pareto([point(record, objective) for record in found])]


def best_by_score(records: Iterable[Record], top: int, objective: str = "flops") -> list[Record]:
    """The `top` trials of highest score; of equal scores the cheaper, then the earlier, first."""
    return sorted(records, key=lambda r: (-r.accuracy, minimised(r, objective), r.number))[:top]


def run_stage(
    study: optuna.Study,
    space: Space,
    scorer: Scorer,
    rules: SearchRules,
    *,
    costs: Costs,
    proposer: Proposer = NSGA2,
    on_trial: Callable[[TrialEvent], None] | None = None,
    scoring: Callable[[optuna.Study, Space, Scorer, Costs], Scoring] | None = None,
) -> StageResult:
    """Searches `space` for accurate architectures that cost little until `rules.trials`.

    `scoring`, made from study, space, scorer and costs, says where scores come from: by default
    from `scorer`, here.

    A study that was broken off goes on where it was and ends as if it had not been; a finished one
    goes on where more trials are asked. Whatever ends a run, finished trials are stored first.

    Raises BudgetError where nothing fits, MismatchError where the study's scores are of another
    kind, StateError where a score is no number, StorageError.
    """
    costs.check(space)
    known = records(study)
    _check_same(study, _conditions(space, scorer, rules, costs, proposer), new=not known)
    generations: dict[int, list[Record]] = defaultdict(list)
    for record in known:
        generations[record.generation].append(record)
    progress = _Progress(known, rules.trials, costs, on_trial)
    scored_before = {record.arch for record in known}
    parents: list[Record] = []
    seen: set[Arch] = set()
    exhausted = False

    with (scoring or _Here)(study, space, scorer, costs) as place:
        for generation in itertools.count():
            room = min(rules.population, rules.trials - len(seen))
            if exhausted or room <= 0:
                break
            members = generations[generation]
            missing: list[Arch] = []
            if len(members) < room:
                proposed = proposer.propose(
                    space,
                    seed=rules.seed,
                    generation=generation,
                    parents=parents,
                    population=rules.population,
                    costs=costs,
                    seen=seen,
                    count=room,
                )
                new = (arch for arch in proposed if arch not in scored_before)
                missing = list(itertools.islice(new, room - len(members)))
                exhausted = len(members) + len(missing) < room
            # By their first blocks: a scorer may share what architectures begin with.
            for record in place.scored(generation, sorted(missing, key=lambda arch: arch.key)):
                members.append(record)
                progress.tell(place.stored())
            seen.update(member.arch for member in members)
            parents = proposer.elites(space, costs, [*parents, *members], rules.population)
    progress.tell(place.stored())
    return StageResult(
        records=tuple(progress.records),
        scored=len(progress.records) - len(known),
        exhausted=exhausted,
    )


class _Progress:
    """The stored trials so far, and telling of each new one."""

    def __init__(
        self,
        known: Sequence[Record],
        trials: int,
        costs: Costs,
        on_trial: Callable[[TrialEvent], None] | None,
    ) -> None:
        self.records = list(known)
        self._front = front(known, costs.objective)
        self._trials = trials
        self._costs = costs
        self._on_trial = on_trial

    def tell(self, stored: Iterable[Record]) -> None:
        for record in stored:
            self.records.append(record)
            self._front = front([*self._front, record], self._costs.objective)
            if self._on_trial is not None:
                self._on_trial(self._event(record))

    def _event(self, record: Record) -> TrialEvent:
        points = [self._costs.point(member) for member in self._front]
        best = best_by_score(self._front, 1, self._costs.objective)[0]
        return TrialEvent(
            number=record.number,
            generation=record.generation,
            arch=record.arch,
            macs=record.macs,
            best_accuracy=best.accuracy,
            best_macs=best.macs,
            best_latency=best.latency,
            hypervolume=hypervolume(points, *self._costs.bounds),
            done=len(self.records),
            trials=self._trials,
        )


@dataclass(frozen=True, kw_only=True)
class _Finished:
    """A scored architecture and when that began and ended (naive local times, as Optuna's)."""

    arch: Arch
    score: Score
    started: datetime
    completed: datetime


def _scored(scorer: Scorer, archs: Sequence[Arch]) -> Iterator[_Finished]:
    """Each of `archs` with its score. Raises StateError where a score is missing or no number."""
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


def check_score(score: Score, arch: Arch) -> None:
    """Raises StateError where a score is no number."""
    if not (0 <= score.accuracy <= 1 and math.isfinite(score.loss)):
        raise StateError(
            "a score must have an accuracy in 0..1 and a finite loss, got "
            f"accuracy={score.accuracy}, loss={score.loss} for {arch.to_json()}. The weights "
            "it inherits have diverged: train the supernet again, with a smaller lr"
        )


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


class _Writer:
    """One thread that stores finished trials in order while the next is scored.

    Leaving it waits until all are stored, whatever made it end. After a failure nothing more is
    written, so that a study never has a gap; the failure is raised where it is noticed.
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
        """Waits where BACKLOG trials are waiting. Raises what went wrong with an earlier one."""
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

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._waiting.put(None)
        self._thread.join()
        if self._failure is not None and self._failure is not error:
            raise self._failure


class _Here(_Writer):
    """Scores in this process, and stores each trial while the next is scored."""

    def __init__(self, study: optuna.Study, space: Space, scorer: Scorer, costs: Costs) -> None:
        super().__init__()
        self._study, self._space, self._scorer, self._costs = study, space, scorer, costs
        self._numbers = itertools.count(study._storage.get_n_trials(study._study_id))

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


def _conditions(
    space: Space, scorer: Scorer, rules: SearchRules, costs: Costs, proposer: Proposer
) -> dict[str, Any]:
    """What the trials of one study have in common, as JSON gives it back."""
    conditions = {
        "space": recorded(space),
        "scorer": dict(scorer.fingerprint),
        **costs.conditions(),
        "seed": rules.seed,
        "population": rules.population,
        "proposer": proposer.name,
    }
    if proposer.start:
        conditions["start"] = [arch.to_dict() for arch in proposer.start]
    same: dict[str, Any] = json.loads(json.dumps(conditions))
    return same


def _check_same(study: optuna.Study, asked: dict[str, Any], *, new: bool) -> None:
    """Stores the conditions of a study without trials, compares them where it has some."""
    with storage_errors(f"the study {study.study_name!r} cannot be used"):
        stored = study.user_attrs
        if new:
            if any(stored.get(name, value) != value for name, value in asked.items()):
                withdraw(study)  # what waits for workers was proposed under the other conditions
            for name, value in asked.items():
                if stored.get(name) != value:
                    study.set_user_attr(name, value)
    if new:
        return
    # The only ones when it was not written down.
    stored = {"proposer": NSGA2.name, "objective": "flops", **stored}
    found = differences({name: stored.get(name) for name in asked}, asked)
    if found:
        raise MismatchError(
            f"the trials of the study {study.study_name!r} cannot be compared with the ones asked "
            f"for, these must be the same:\n{listed(found)}\n"
            "Ask for what is stored, or for a new study beside this one: hnas search --rescore"
        )
