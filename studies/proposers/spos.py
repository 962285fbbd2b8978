"""SPOS's evolution (Guo et al., "Single Path One-Shot", 1904.00420, algorithm 1): one criterion.

The parents are the most accurate architectures found so far. A generation is half crossover, half
mutation, within the limits; what either does not find in bounded tries is random, and so is
the first generation. With a population of 50 these are SPOS's own numbers: 10 parents, 25 children
by crossover, 25 by mutation, each gene at probability 0.1; other populations keep the shares.

A gene is one size of one block, as in the paper's index tuples (and AutoFormer's, 2107.00651): a
whole block as one gene would be redrawn at once or not at all.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence, Set

import numpy as np

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Space
from hnas.studies.objective.costs import Costs
from hnas.studies.proposers.base import Proposer, new_within
from hnas.studies.proposers.nsga2 import TRIES
from hnas.studies.proposers.random_search import draws
from hnas.studies.trials.encoding import SIZES
from hnas.studies.trials.record import Record

MUTATION = 0.1
"""Probability that a gene is drawn anew."""


def parents_of(population: int) -> int:
    """How many of the best become parents: a fifth of the population, two at least."""
    return max(population // 5, 2)


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
    """Crossed, then mutated, then random architectures: `hnas.studies.proposers.base.Propose`."""
    costs.check(space)
    rng = np.random.default_rng([seed, generation])
    best = [parent.arch for parent in _best(parents, population)]
    half = population // 2
    found: list[Arch] = []
    for children in (_crossed, _mutated):
        found += new_within(
            (children(space, best, rng) for _ in range(TRIES * half if best else 0)),
            costs=costs,
            seen={*seen, *found},
            count=half,
        )
    candidates = itertools.chain(found, draws(space, costs, population, rng))
    return new_within(candidates, costs=costs, seen=seen, count=count)


def elites(space: Space, costs: Costs, pool: Sequence[Record], population: int) -> list[Record]:
    """The most accurate of `pool`, as many as become parents; of equal ones the earlier."""
    return _best(pool, population)


def _best(pool: Sequence[Record], population: int) -> list[Record]:
    ranked = sorted(pool, key=lambda record: (-record.accuracy, record.generation, record.arch.key))
    return ranked[: parents_of(population)]


def _crossed(space: Space, parents: Sequence[Arch], rng: np.random.Generator) -> Arch:
    """Every gene of one of two parents."""
    pair = [_genes(space, _one(parents, rng), rng) for _ in range(2)]
    from_second = rng.random(len(pair[0])) < 0.5
    return _arch(space, np.where(from_second, pair[1], pair[0]).tolist())


def _mutated(space: Space, parents: Sequence[Arch], rng: np.random.Generator) -> Arch:
    """A parent with some genes drawn anew."""
    kept = _genes(space, _one(parents, rng), rng)
    drawn = [int(rng.choice(candidates)) for candidates in _candidates(space)]
    return _arch(space, np.where(rng.random(len(kept)) < MUTATION, drawn, kept).tolist())


def _one(parents: Sequence[Arch], rng: np.random.Generator) -> Arch:
    return parents[int(rng.integers(len(parents)))]


def _candidates(space: Space) -> Iterator[tuple[int, ...]]:
    """Of every gene: block by block, each in the order of SIZES."""
    return (getattr(block, size) for block in space.blocks for size in SIZES)


def _genes(space: Space, arch: Arch, rng: np.random.Generator) -> list[int]:
    """An architecture's genes; those that its blocks do not use are drawn, to be there when a
    child uses them."""
    values = (getattr(block, size) for block in arch.blocks for size in SIZES)
    return [
        int(rng.choice(candidates)) if value is None else value
        for value, candidates in zip(values, _candidates(space), strict=True)
    ]


def _arch(space: Space, genes: Sequence[int]) -> Arch:
    N = space.frame.N
    each = len(SIZES)
    starts = range(0, len(genes), each)
    chosen = [dict(zip(SIZES, genes[i : i + each], strict=True)) for i in starts]
    return Arch(tuple(Block.of(L=N - sizes["G"], **sizes) for sizes in chosen))


SPOS = Proposer(name="spos", propose=propose, elites=elites)
"""More accurate alone, within the budget."""
