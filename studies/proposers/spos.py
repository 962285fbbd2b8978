"""SPOS's evolution (Guo et al., "Single Path One-Shot", 1904.00420, algorithm 1): one criterion.

The parents are the most accurate architectures found so far. A generation within the limits is
half crossover, half mutation. Random architectures fill up what these two do not find in bounded
tries, and the whole first generation. With a population of 50 these are SPOS's own numbers: 10
parents, 25 children by crossover, 25 by mutation, each gene at probability 0.1; other populations
keep the shares.

A gene is one size of one block, as in the paper's index tuples (and AutoFormer's, 2107.00651): a
whole block as one gene would change at once or not at all.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.studies.objective.costs import Costs
from hnas.studies.proposers.base import Proposer, Turn
from hnas.studies.proposers.optuna_sampler import TRIES
from hnas.studies.proposers.random_search import draws
from hnas.studies.trials.encoding import SIZES, value
from hnas.studies.trials.record import Record

MUTATION = 0.1
"""Probability that a gene is drawn again."""


def parents_of(population: int) -> int:
    """How many of the best become parents: a fifth of the population, two at least."""
    return max(population // 5, 2)


def propose(turn: Turn) -> list[Arch]:
    """Crossed, then mutated, then random architectures: `hnas.studies.proposers.base.Propose`."""
    rng = turn.rng()
    kept = elites(turn.space, turn.costs, turn.parents, turn.population)
    best = [parent.arch for parent in kept]
    half = turn.population // 2
    found: list[Arch] = []
    for children in (_crossed, _mutated):
        drawn = (children(turn.space, best, rng) for _ in range(TRIES * half if best else 0))
        found += replace(turn, seen={*turn.seen, *found}, count=half).first_new(drawn)
    return turn.first_new(itertools.chain(found, draws(turn, rng)))


def elites(space: Space, costs: Costs, pool: Sequence[Record], population: int) -> list[Record]:
    """The most accurate of `pool` that become parents; of equal ones the earlier."""
    ranked = sorted(pool, key=lambda record: (-record.accuracy, record.generation, record.arch.key))
    return ranked[: parents_of(population)]


def _crossed(space: Space, parents: Sequence[Arch], rng: np.random.Generator) -> Arch:
    """Every gene of one of two parents."""
    pair = [_genes(space, _one(parents, rng), rng) for _ in range(2)]
    from_second = rng.random(len(pair[0])) < 0.5
    return _arch(space, np.where(from_second, pair[1], pair[0]).tolist())


def _mutated(space: Space, parents: Sequence[Arch], rng: np.random.Generator) -> Arch:
    """A parent with some genes drawn again."""
    kept = _genes(space, _one(parents, rng), rng)
    drawn = [int(rng.choice(candidates)) for candidates in _candidates(space)]
    return _arch(space, np.where(rng.random(len(kept)) < MUTATION, drawn, kept).tolist())


def _one(parents: Sequence[Arch], rng: np.random.Generator) -> Arch:
    return parents[int(rng.integers(len(parents)))]


def _candidates(space: Space) -> Iterator[tuple[int, ...]]:
    """The candidates of every gene: block by block, each in the order of SIZES."""
    return itertools.chain.from_iterable(block.all(space.frame.N) for block in space.blocks)


def _genes(space: Space, arch: Arch, rng: np.random.Generator) -> list[int]:
    """An architecture's genes. Genes that its blocks do not use are drawn, so that a child may use
    them."""
    values = (value(block, size) for block in arch.blocks for size in SIZES)
    return [
        int(rng.choice(candidates)) if its is None else its
        for its, candidates in zip(values, _candidates(space), strict=True)
    ]


def _arch(space: Space, genes: Sequence[int]) -> Arch:
    """A size that a block of its kind cannot have becomes the nearest that it can."""
    frame, each = space.frame, len(SIZES)
    own = (genes[i : i + each] for i in range(0, len(genes), each))
    near = (block.nearest(frame.N, *its) for block, its in zip(space.blocks, own, strict=True))
    return Arch(tuple(frame.block(*sizes) for sizes in near))


SPOS = Proposer(name="spos", propose=propose, elites=elites)
"""More accurate alone, within the budget."""
