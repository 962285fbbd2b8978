"""One stage of a search: proposes, scores and stores generations until its trials are spent.

Stages differ in their space, their scorer and their proposer.
"""

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import optuna

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.errors import InputError
from hnas.studies.objective.costs import Costs
from hnas.studies.proposers.base import Proposer, Turn
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.scoring.backend import Backend, Scorer
from hnas.studies.scoring.local_backend import LocalBackend
from hnas.studies.search.events import TrialEvent
from hnas.studies.trials.conditions import Conditions, keep_conditions
from hnas.studies.trials.parents import keep_parents, kept_parents
from hnas.studies.trials.pareto import best_by_score, front, hypervolume
from hnas.studies.trials.record import Record
from hnas.studies.trials.trial import records


@dataclass(frozen=True, kw_only=True)
class SearchRules:
    """Rules of a stage's search. Raises InputError if a value breaks its rule."""

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


@dataclass(frozen=True, kw_only=True)
class StageResult:
    """The trials that a stage found."""

    records: tuple[Record, ...]
    """Every trial of the study, by number."""
    scored: int
    """Trials of them that this run scored."""
    exhausted: bool
    """No further architecture within the budget was found: fewer trials than asked for."""


def run_stage(
    study: optuna.Study,
    space: Space,
    scorer: Scorer,
    rules: SearchRules,
    *,
    costs: Costs,
    proposer: Proposer = NSGA2,
    on_trial: Callable[[TrialEvent], None] | None = None,
    backend: Callable[[optuna.Study, Space, Scorer, Costs], Backend] = LocalBackend,
) -> StageResult:
    """Searches `space` for accurate architectures that cost little until `rules.trials`.

    `backend`, made from study, space, scorer and costs, scores and stores the trials: by default
    this process does.

    A study that was interrupted resumes, and ends as if it had not been; a finished one resumes if
    more trials are asked for. Whatever ends a run, finished trials are stored first.

    Raises BudgetError if nothing fits, MismatchError if the study's scores are of another kind,
    StateError if a score is no number, StorageError.
    """
    costs.check(space)
    known = records(study)
    keep_conditions(study, conditions(space, scorer, rules, costs, proposer), new=not known)
    generations: dict[int, list[Record]] = defaultdict(list)
    for record in known:
        generations[record.generation].append(record)
    progress = _Progress(list(known), rules.trials, costs, on_trial)
    scored_before = {record.arch for record in known}
    last, parents = kept_parents(study, generations, rules.population)
    seen = {one.arch for number in range(last + 1) for one in generations[number]}
    exhausted = False

    with backend(study, space, scorer, costs) as scoring:
        for generation in itertools.count(last + 1):
            room = min(rules.population, rules.trials - len(seen))
            if exhausted or room <= 0:
                break
            members = generations[generation]
            missing: list[Arch] = []
            if len(members) < room:
                turn = Turn(
                    space=space,
                    costs=costs,
                    seed=rules.seed,
                    generation=generation,
                    population=rules.population,
                    parents=parents,
                    seen=seen,
                    count=room,
                )
                new = (arch for arch in proposer.propose(turn) if arch not in scored_before)
                missing = list(itertools.islice(new, room - len(members)))
                exhausted = len(members) + len(missing) < room
            # By their first blocks: a scorer may share what architectures begin with.
            for record in scoring.scored(generation, sorted(missing, key=lambda arch: arch.key)):
                members.append(record)
                progress.tell(scoring.stored())
            seen.update(member.arch for member in members)
            parents = proposer.elites(space, costs, [*parents, *members], rules.population)
            if len(members) == rules.population >= len(parents):
                keep_parents(study, generation, parents)
    progress.tell(scoring.stored())
    return StageResult(
        records=tuple(progress.records),
        scored=len(progress.records) - len(known),
        exhausted=exhausted,
    )


@dataclass
class _Progress:
    """The stored trials so far; it reports each new one to `on_trial`."""

    records: list[Record]
    trials: int
    costs: Costs
    on_trial: Callable[[TrialEvent], None] | None

    def __post_init__(self) -> None:
        self.front = front(self.records, self.costs.objective)

    def tell(self, stored: Iterable[Record]) -> None:
        for record in stored:
            self.records.append(record)
            self.front = front([*self.front, record], self.costs.objective)
            if self.on_trial is not None:
                self.on_trial(self._event(record))

    def _event(self, record: Record) -> TrialEvent:
        points = [self.costs.point(member) for member in self.front]
        return TrialEvent(
            record=record,
            best=best_by_score(self.front, 1, self.costs.objective)[0],
            hypervolume=hypervolume(points, *self.costs.bounds),
            done=len(self.records),
            trials=self.trials,
        )


def conditions(
    space: Space, scorer: Scorer, rules: SearchRules, costs: Costs, proposer: Proposer
) -> Conditions:
    """What the trials of a stage have in common."""
    return Conditions(
        space=space,
        scorer=scorer.fingerprint,
        budget=costs.flops,
        convention=costs.convention,
        objective=costs.objective,
        params_bound=costs.params,
        latency_bound=costs.latency,
        latency_table=costs.table.digest if costs.table else None,
        seed=rules.seed,
        population=rules.population,
        proposer=proposer.name,
        start=proposer.start,
    )
