"""Proposers of generations: each is a pair of pure functions, `propose` and `elites`.

A generation depends on what `Turn` holds and on nothing else. So a search that was interrupted
proposes what it would have proposed. `hnas.studies.search.stage` runs any proposer.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from hnas.architecture.arch import SKIP, SKIPPED, Arch, Block
from hnas.architecture.space import Space
from hnas.cost.flops import block_cost, cheapest
from hnas.studies.objective.costs import Costs
from hnas.studies.trials.record import Record


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A turn of a search: all that a proposer knows when a generation is due."""

    space: Space
    costs: Costs
    seed: int
    generation: int
    """From 0."""
    population: int
    parents: Sequence[Record]
    """What `Proposer.elites` kept of the generations before."""
    seen: Set[Arch]
    """Every architecture of the generations before."""
    count: int
    """Architectures that are wanted."""

    def rng(self) -> np.random.Generator:
        """A generator for this generation alone. Raises BudgetError if nothing fits the costs."""
        self.costs.check(self.space)
        return np.random.default_rng([self.seed, self.generation])

    def first_new(self, archs: Iterable[Arch]) -> list[Arch]:
        """The first `count` of `archs` that the costs allow, none of them seen and none twice.

        Draws no more of `archs` than it needs.
        """
        return list(itertools.islice(self._new(archs), self.count))

    def _new(self, archs: Iterable[Arch]) -> Iterator[Arch]:
        given: set[Arch] = set()
        for arch in archs:
            if arch not in self.seen and arch not in given and self.costs.allow(arch):
                given.add(arch)
                yield arch


Propose = Callable[[Turn], list[Arch]]
"""Gives at most `count` architectures that are not seen and that the costs allow.

It gives fewer, possibly none, if it finds no more. A smaller `count` gives the first of the same
list. Raises BudgetError if nothing fits.
"""


@dataclass(frozen=True, kw_only=True)
class Proposer:
    """A way to search a space."""

    name: str
    """Stored with a study, which resumes with the proposer that it began with."""
    propose: Propose
    elites: Callable[[Space, Costs, Sequence[Record], int], list[Record]]
    """Chooses the parents of the next generation from the last one and its parents; the number is
    the population. The order of the records does not matter."""
    start: tuple[Arch, ...] = ()
    """What generation 0 begins with; stored with a study too."""


def starting_from(start: Sequence[Arch], proposer: Proposer) -> Proposer:
    """The same proposer, but its generation 0 begins with those of `start` that the costs allow.

    The rest of generation 0 is what `proposer` would begin with.
    """

    def propose(turn: Turn) -> list[Arch]:
        first = turn.first_new(start if turn.generation == 0 else ())
        count = turn.count - len(first)
        return [*first, *proposer.propose(replace(turn, seen={*turn.seen, *first}, count=count))]

    return replace(proposer, propose=propose, start=tuple(start))


def corners(space: Space, costs: Costs) -> tuple[Arch, ...]:
    """The networks at the ends of a space, as far as the costs allow them: the cheapest, the one
    with most global groups in every block, and the one with fewest, of no more skipped blocks than
    need be.

    The latter two have, block by block, the choice of median MACs among those with as many groups.
    """

    def middle(choices: Sequence[Block], groups: int) -> Block:
        among = [block for block in choices if groups == block.choice]
        among.sort(key=lambda block: (block_cost(space.frame, block).macs, block.key))
        return among[len(among) // 2]

    ends = [
        Arch(tuple(middle(row, end(_groups(row))) for row in space.choices)) for end in (max, min)
    ]
    return tuple(filter(costs.allow, dict.fromkeys((cheapest(space), *ends))))


def _groups(choices: Sequence[Block]) -> list[int]:
    """The numbers of global groups that a block may have; SKIP if it may have none at all."""
    return [block.choice for block in choices if block != SKIPPED] or [SKIP]
