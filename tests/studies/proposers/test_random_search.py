"""Random search: uniform within the budget, and nothing is learned."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from hnas.architecture.space import Frame, Space, distribution_space
from hnas.cost.flops import cheapest, cost, dearest
from hnas.studies.objective.costs import Costs
from hnas.studies.proposers.base import Turn
from hnas.studies.proposers.optuna_sampler import TRIES
from hnas.studies.proposers.random_search import RANDOM, draws, propose
from tests.support.generators import spaces

FRAME = Frame(image=8, channels=1, patch=4, classes=10, d=12, M=2, N=3)
SMALL = distribution_space(FRAME, d_k=12, d_z=4, E=1, K=3)


def ask(space: Space, budget: int, **changes: object) -> list:
    asked = dict(seed=0, generation=0, parents=[], population=10, seen=set(), count=10)
    costs = Costs(frame=space.frame, flops=budget)
    return propose(Turn(space=space, costs=costs, **{**asked, **changes}))


@settings(max_examples=40)
@given(st.data())
def test_any_generation_is_new_within_the_budget_and_a_pure_function(data: st.DataObject) -> None:
    space = data.draw(spaces())
    least, most = (cost(space.frame, end(space)).macs for end in (cheapest, dearest))
    budget = data.draw(st.integers(least, most))
    first = ask(space, budget)
    second = ask(space, budget, generation=1, seen=set(first))
    assert len({*first, *second}) == len(first) + len(second)
    assert all(a in space and cost(space.frame, a).macs <= budget for a in (*first, *second))
    assert ask(space, budget) == first
    assert ask(space, budget, count=3) == first[:3]


def test_every_architecture_within_the_budget_is_as_likely() -> None:
    budget = sorted(cost(FRAME, SMALL_ARCH).macs for SMALL_ARCH in everything())[7]
    within = [arch for arch in everything() if cost(FRAME, arch).macs <= budget]
    drawn = Counter(ask(SMALL, budget, seed=seed, count=1)[0] for seed in range(2000))
    assert set(drawn) == set(within)
    expected = 2000 / len(within)
    assert all(abs(n - expected) < 4 * expected**0.5 for n in drawn.values())


def test_uniform_draws_come_first_as_many_as_the_population_allows() -> None:
    """All of a small space come only after them."""
    budget = cost(FRAME, cheapest(SMALL)).macs
    for population in (2, 10):
        turn = Turn(
            space=SMALL,
            costs=Costs(frame=FRAME, flops=budget),
            seed=0,
            generation=0,
            population=population,
            parents=[],
            seen=set(),
            count=population,
        )
        found, rng = draws(turn, np.random.default_rng(7)), np.random.default_rng(7)
        first = list(itertools.islice(found, TRIES * population))
        assert first == [SMALL.sample(rng) for _ in first]
        rest = list(found)
        assert len(rest) == len(set(rest)) == SMALL.distinct


def everything() -> list:
    return ask(SMALL, 10**9, count=1000)


def test_nothing_is_learned() -> None:
    assert RANDOM.elites(SMALL, Costs(frame=FRAME), [], 5) == []
    assert len(everything()) == SMALL.distinct == 16
