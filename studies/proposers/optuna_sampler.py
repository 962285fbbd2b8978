"""Any sampler of Optuna's as a proposer: a pure function of the seed and the finished trials.

A fresh sampler proposes on a fresh in-memory study; nothing is stored before it is scored. (Sampler
methods called without `ask` reuse a stale cache of trials: that was silently random search.)

- An evolutionary sampler (`BaseGASampler`) gets the parents that it selected, as generation 0.
- Any other gets all finished trials. What it is asked within a generation it sees as running, so
  that one that knows of running trials (TPE's constant liar, GP) does not ask the same again.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import optuna
from optuna.samplers import BaseGASampler, BaseSampler

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.studies.objective.costs import Costs, values
from hnas.studies.proposers.base import Proposer, Turn
from hnas.studies.trials.encoding import decode, distributions, encode
from hnas.studies.trials.optuna_inside import generation_key
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import directions, quiet

Make = Callable[[int, int], BaseSampler]
"""Makes a sampler from the population and a seed."""

TRIES = 10
"""Asks, then random draws, per member of the population before a generation is left smaller."""
MODEL_TRIES = 3
"""Asks of a sampler that models the trials, whose ask takes milliseconds to seconds."""
ENUMERABLE = 20_000
"""A space of at most so many architectures is listed, so that its end is known exactly."""


def proposer_of(name: str, make: Make) -> Proposer:
    """The proposer of a sampler. In a space of at most ENUMERABLE architectures fewer than `count`
    come back only if no more exist."""
    return Proposer(name=name, propose=partial(_propose, make), elites=partial(_elites, make))


def _propose(make: Make, turn: Turn) -> list[Arch]:
    rng = turn.rng()
    asked = _asked(make, turn, seed=int(rng.integers(2**32)))
    return turn.first_new(itertools.chain(asked, others(turn, TRIES * turn.population, rng)))


def _elites(
    make: Make, space: Space, costs: Costs, pool: Sequence[Record], population: int
) -> list[Record]:
    """What the next generation is proposed from: of an evolutionary sampler the `population` of
    `pool` (the last generation with its parents) that it selects, of others all of `pool`."""
    records = _ordered(pool)
    with quiet():
        sampler = make(population, 0)
    if not isinstance(sampler, BaseGASampler) or len(records) <= population:
        return records
    study = _study(space, costs, records, sampler)
    # The first trial of generation 1 makes the sampler select (and keep) its parents.
    study.ask(distributions(space))
    kept = {trial.number for trial in sampler.get_parent_population(study, 1)}
    return [record for i, record in enumerate(records) if i in kept]


def _ordered(pool: Sequence[Record]) -> list[Record]:
    """By architecture, so that nothing depends on the order in which trials finished."""
    return sorted(pool, key=lambda record: record.arch.key)


def _study(
    space: Space, costs: Costs, records: Sequence[Record], sampler: BaseSampler
) -> optuna.Study:
    """A study in memory with the records as its trials: all of generation 0."""
    with quiet():
        study = optuna.create_study(directions=directions(costs.objective), sampler=sampler)
    free, key = distributions(space), generation_key(sampler)
    for record in records:
        study.add_trial(
            optuna.trial.create_trial(
                values=values(record.accuracy, record, costs.objective),
                params=encode(space, record.arch),
                distributions=free,
                system_attrs={} if key is None else {key: 0},
            )
        )
    return study


def _asked(make: Make, turn: Turn, seed: int) -> Iterator[Arch]:
    """What the sampler answers, in bounded tries."""
    free = distributions(turn.space)
    with quiet():
        sampler = make(turn.population, seed)
    study = _study(turn.space, turn.costs, _ordered(turn.parents), sampler)
    tries = MODEL_TRIES if generation_key(sampler) is None else TRIES
    for _ in range(tries * turn.population):
        yield decode(turn.space, study.ask(free).params)


def others(turn: Turn, draws: int, rng: np.random.Generator) -> Iterator[Arch]:
    """All of a small space in random order, or random architectures of a large one."""
    space = turn.space
    if space.distinct <= ENUMERABLE:
        everything = [Arch(blocks) for blocks in itertools.product(*space.choices)]
        yield from (everything[i] for i in rng.permutation(len(everything)))
    else:
        yield from (turn.costs.sample(space, rng) for _ in range(draws))
