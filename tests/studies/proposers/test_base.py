"""A search that starts from what is known."""

from __future__ import annotations

import numpy as np
import pytest

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.cost.flops import cost
from hnas.errors import BudgetError
from hnas.studies.objective.costs import Costs
from hnas.studies.plan.plan import Plan
from hnas.studies.proposers.base import Proposer, Turn, starting_from
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.proposers.random_search import RANDOM
from hnas.studies.proposers.spos import SPOS


@pytest.fixture
def space(tiny: Plan) -> Space:
    return tiny.space2(None)


@pytest.fixture
def known(space: Space, tiny: Plan) -> list[Arch]:
    """Four within the budget."""
    rng, found = np.random.default_rng(0), list[Arch]()
    while len(found) < 4:
        arch = space.sample(rng)
        found += [arch] if cost(space.frame, arch).macs <= tiny.budget() else []
    return found


def proposed(
    proposer: Proposer, space: Space, budget: int, *, generation: int = 0, count: int = 6
) -> list[Arch]:
    turn = Turn(
        space=space, seed=1, generation=generation, parents=[], population=6,
        costs=Costs(frame=space.frame, flops=budget), seen=set(), count=count,
    )  # fmt: skip
    return proposer.propose(turn)


@pytest.mark.parametrize("proposer", [NSGA2, SPOS, RANDOM], ids=lambda p: p.name)
def test_generation_0_begins_with_the_start_and_others_are_as_they_were(
    proposer: Proposer, space: Space, known: list[Arch], tiny: Plan
) -> None:
    budget = tiny.budget()
    begun = starting_from(known, proposer)
    first = proposed(begun, space, budget)
    assert first[:4] == known and len(set(first)) == 6
    assert first[4:] == proposed(proposer, space, budget)[:2]
    for count in range(7):
        assert proposed(begun, space, budget, count=count) == first[:count]
    later = proposed(proposer, space, budget, generation=1)
    assert proposed(begun, space, budget, generation=1) == later
    assert begun.name == proposer.name and begun.start == tuple(known)


@pytest.mark.parametrize("proposer", [NSGA2, SPOS, RANDOM], ids=lambda p: p.name)
def test_a_budget_that_nothing_fits_is_refused(proposer: Proposer, tiny: Plan) -> None:
    """Of a small space too, all of which can be looked at."""
    with pytest.raises(BudgetError, match="no architecture of the space fits flops 1,000"):
        proposed(proposer, tiny.space1(), 1000)


def test_what_does_not_fit_the_budget_is_left_out(space: Space, known: list[Arch]) -> None:
    macs = [cost(space.frame, arch).macs for arch in known]
    budget = max(macs) - 1
    fitting = [arch for arch, one in zip(known, macs, strict=True) if one <= budget]
    first = proposed(starting_from(known, NSGA2), space, budget)
    assert 0 < len(fitting) < 4 and first[: len(fitting)] == fitting
    assert len(first) == 6 and all(cost(space.frame, arch).macs <= budget for arch in first)


def test_starting_from_nothing_changes_nothing(space: Space, tiny: Plan) -> None:
    same = proposed(starting_from([], NSGA2), space, tiny.budget())
    assert same == proposed(NSGA2, space, tiny.budget())
