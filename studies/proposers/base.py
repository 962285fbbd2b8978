"""What proposes the next generation of a study, as a pair of pure functions.

A generation depends on the seed, its number, the trials of earlier generations and what the search
starts from, on nothing else: one that was broken off proposes what it would have proposed.
`hnas.studies.search.stage` runs any of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace
from typing import Protocol

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.studies.objective.costs import Costs
from hnas.studies.trials.record import Record


class Propose(Protocol):
    """Gives a generation, in an order that depends on nothing that is drawn later."""

    def __call__(
        self,
        space: Space,
        *,
        seed: int,
        generation: int,
        parents: Sequence[Record],
        population: int,
        costs: Costs,
        seen: Set[Arch],
        count: int,
    ) -> list[Arch]:
        """At most `count` architectures that are not `seen` (those of earlier generations) and
        that `costs` allow. A smaller `count` gives the first of the same list; fewer, possibly
        none, come back where no more are found. `parents` are what `elites` kept.

        Raises BudgetError where nothing fits.
        """


@dataclass(frozen=True, kw_only=True)
class Proposer:
    """A way to search a space."""

    name: str
    """Kept with a study: it goes on with the proposer that it began with."""
    propose: Propose
    elites: Callable[[Space, Costs, Sequence[Record], int], list[Record]]
    """Of the last generation and its parents, those that the next is made from; the number is the
    population. The order of the records does not matter."""
    start: tuple[Arch, ...] = ()
    """What generation 0 begins with; kept with a study too."""


def starting_from(start: Sequence[Arch], proposer: Proposer) -> Proposer:
    """The same, but generation 0 begins with `start`, as far as `costs` and the population
    allow; the rest of it is what `proposer` would begin with."""

    def propose(
        space: Space,
        *,
        seed: int,
        generation: int,
        parents: Sequence[Record],
        population: int,
        costs: Costs,
        seen: Set[Arch],
        count: int,
    ) -> list[Arch]:
        known = start if generation == 0 else ()
        first = new_within(known, costs=costs, seen=seen, count=count)
        rest = proposer.propose(
            space,
            seed=seed,
            generation=generation,
            parents=parents,
            population=population,
            costs=costs,
            seen={*seen, *first},
            count=count - len(first),
        )
        return [*first, *rest]

    return replace(proposer, propose=propose, start=tuple(start))


def new_within(archs: Iterable[Arch], *, costs: Costs, seen: Set[Arch], count: int) -> list[Arch]:
    """The first `count` of `archs` that `costs` allow, none of them `seen` and none twice.

    Draws no more of `archs` than it needs.
    """
    return list(itertools.islice(_new(archs, costs, seen), count))


def _new(archs: Iterable[Arch], costs: Costs, seen: Set[Arch]) -> Iterator[Arch]:
    given: set[Arch] = set()
    for arch in archs:
        if arch not in seen and arch not in given and costs.allow(arch):
            given.add(arch)
            yield arch
