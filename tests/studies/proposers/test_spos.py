"""SPOS's evolution: what a generation is made of, its numbers, that it beats chance."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hnas.studies.proposers.spos
from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, Space, size_space
from hnas.cost.flops import cheapest, cost, dearest
from hnas.errors import BudgetError
from hnas.studies.objective.costs import Costs
from hnas.studies.proposers.base import Turn
from hnas.studies.proposers.random_search import RANDOM
from hnas.studies.proposers.spos import SPOS, elites, parents_of, propose
from hnas.studies.trials.encoding import SIZES, value
from hnas.studies.trials.record import Record
from tests.support.fake_scorer import FakeScorer
from tests.support.generators import spaces

FRAME = Frame(image=32, channels=3, patch=4, classes=10, d=192, M=12, N=3)
BUDGET = cost(FRAME, FRAME.all_global()).macs
COSTS = Costs(frame=FRAME, flops=BUDGET)
WHOLE = size_space(FRAME, None, d_k=(96, 192, 384), d_z=(2, 4, 6), E=(1, 2, 4), K=(17, 31, 45))


def scored(space: Space, archs: Sequence[Arch], generation: int = 0) -> list[Record]:
    scores = FakeScorer(frame=space.frame).score(archs)
    return [
        Record(
            number=i,
            generation=generation,
            arch=arch,
            accuracy=score.accuracy,
            loss=score.loss,
            macs=cost(space.frame, arch).macs,
            params=0,
            seconds=0.0,
        )
        for i, (arch, score) in enumerate(zip(archs, scores, strict=True))
    ]


def ask(space: Space, budget: int = BUDGET, **changes: object) -> list[Arch]:
    asked = dict(seed=0, generation=0, parents=[], population=20, seen=set(), count=20)
    costs = Costs(frame=space.frame, flops=budget)
    return propose(Turn(space=space, costs=costs, **{**asked, **changes}))


def evolved(proposer, space: Space, seed: int, generations: int, population: int) -> list[Record]:
    """The trials of a search with the fake scorer."""
    parents, found = [], []
    for generation in range(generations):
        turn = Turn(
            space=space,
            seed=seed,
            generation=generation,
            parents=parents,
            population=population,
            costs=COSTS,
            seen={record.arch for record in found},
            count=population,
        )
        archs = proposer.propose(turn)
        members = scored(space, archs, generation)
        found += members
        parents = proposer.elites(space, COSTS, [*parents, *members], population)
    return found


# Any space


@settings(max_examples=40)
@given(st.data())
def test_any_generation_is_new_within_the_budget_and_a_pure_function(data: st.DataObject) -> None:
    space = data.draw(spaces())
    least, most = (cost(space.frame, end(space)).macs for end in (cheapest, dearest))
    budget = data.draw(st.integers(least, most))
    population = data.draw(st.integers(2, 12))
    first = ask(space, budget, population=population, count=population)
    parents = elites(space, COSTS, scored(space, first), population)
    asked = dict(generation=1, parents=parents, population=population, seen=set(first))
    second = ask(space, budget, count=population, **asked)
    assert len({*first, *second}) == len(first) + len(second)
    for arch in (*first, *second):
        assert arch in space and cost(space.frame, arch).macs <= budget
    assert ask(space, budget, count=population, **{**asked, "parents": parents[::-1]}) == second
    fewer = data.draw(st.integers(0, population))
    assert ask(space, budget, count=fewer, **asked) == second[:fewer]
    if len(first) + len(second) < 2 * population and space.distinct <= 20_000:
        everything = {*first, *second}
        assert ask(space, budget, generation=2, seen=everything) == []


@given(st.data())
def test_a_crossed_child_has_nothing_that_neither_parent_has(data: st.DataObject) -> None:
    space = data.draw(spaces())
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    parents = [space.sample(rng) for _ in range(2)]
    child = hnas.studies.proposers.spos._crossed(space, parents, rng)
    assert child in space
    for made, one, two, free in zip(
        child.blocks, parents[0].blocks, parents[1].blocks, space.blocks, strict=True
    ):
        for size in SIZES:
            inherited = {value(block, size) for block in (one, two)}
            # Where a parent does not use a size, what is there in its place is drawn.
            lists = dict(zip(SIZES, free.all(space.frame.N), strict=True))
            allowed = {*inherited, *lists[size]} if None in inherited else inherited
            # What a block of its kind cannot have has become the nearest that it can.
            near = {
                min(its, key=lambda one: abs(one - wanted))
                for its in [dict(zip(SIZES[1:], free.of(made.choice, space.frame.N), strict=True))]
                for its in [its.get(size, free.G)]
                for wanted in {*allowed} - {None}
            }
            assert value(made, size) in {*near, None}


def test_a_mutated_child_differs_in_a_tenth_of_its_genes() -> None:
    rng = np.random.default_rng(0)
    parent = WHOLE.sample(rng)
    used = [(i, s) for i, b in enumerate(parent.blocks) for s in ("G", "d_z")]
    changed = 0
    for _ in range(400):
        child = hnas.studies.proposers.spos._mutated(WHOLE, [parent], rng)
        changed += sum(
            getattr(child.blocks[i], size) != getattr(parent.blocks[i], size) for i, size in used
        )
    # Drawn anew with probability 0.1, G to another of 4 and d_z to another of 3.
    expected = 0.1 * (3 / 4 + 2 / 3) / 2
    assert changed / (400 * len(used)) == pytest.approx(expected, rel=0.1)


# Its numbers


def test_with_a_population_of_50_the_numbers_are_those_of_spos(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert parents_of(50) == 10
    assert hnas.studies.proposers.spos.MUTATION == 0.1
    parents = scored(WHOLE, ask(WHOLE, population=50, count=50))
    seen = {record.arch for record in parents}
    best = {record.arch for record in sorted(parents, key=lambda r: -r.accuracy)[:10]}
    made: dict[str, list[Arch]] = {"crossed": [], "mutated": []}
    for kind, children in made.items():
        make = getattr(hnas.studies.proposers.spos, f"_{kind}")

        def kept(space, archs, rng, make=make, children=children):
            assert set(archs) == best
            children.append(make(space, archs, rng))
            return children[-1]

        monkeypatch.setattr(hnas.studies.proposers.spos, f"_{kind}", kept)
    asked = dict(generation=1, parents=parents, population=50, seen=seen)
    found = ask(WHOLE, count=50, **asked)
    assert len(found) == 50
    assert set(found[:25]) <= set(made["crossed"])
    assert set(found[25:]) <= set(made["mutated"])


def test_no_mutated_child_repeats_a_crossed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of a generation are mutated children, although the first of them were there."""
    four = ask(WHOLE, population=4, count=4)
    seen = {record.arch for record in scored(WHOLE, ask(WHOLE, seed=1, population=4, count=4))}
    parents = scored(WHOLE, [arch for arch in seen if arch not in four])
    for kind, children in (("crossed", four), ("mutated", four)):
        left = iter(children)
        monkeypatch.setattr(hnas.studies.proposers.spos, f"_{kind}", lambda *_, of=left: next(of))
    asked = dict(generation=1, parents=parents, population=4, seen={p.arch for p in parents})
    assert ask(WHOLE, count=4, **asked) == four


@pytest.mark.parametrize(("population", "parents"), [(2, 2), (9, 2), (20, 4), (50, 10), (100, 20)])
def test_other_populations_keep_the_shares(population: int, parents: int) -> None:
    assert parents_of(population) == parents


def test_elites_are_the_most_accurate_of_all_so_far_whatever_they_cost() -> None:
    pool = scored(WHOLE, ask(WHOLE, population=60, count=60))
    kept = elites(WHOLE, COSTS, pool, 50)
    assert elites(WHOLE, COSTS, pool[::-1], 50) == kept
    assert [r.accuracy for r in kept] == sorted((r.accuracy for r in pool), reverse=True)[:10]


def test_without_room_the_tries_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the cheapest architecture fits: crossover and mutation end, and so does the search."""
    least = cheapest(WHOLE)
    budget = cost(FRAME, least).macs
    parents = scored(WHOLE, [least])
    crossed = hnas.studies.proposers.spos._crossed
    tried = []

    def counted(*arguments):
        tried.append(1)
        return crossed(*arguments)

    monkeypatch.setattr(hnas.studies.proposers.spos, "_crossed", counted)
    asked = dict(generation=1, parents=parents, population=4, seen={least}, count=4)
    assert ask(WHOLE, budget, **asked) == []
    assert len(tried) == 10 * 2


def test_a_budget_that_nothing_fits_is_refused() -> None:
    with pytest.raises(BudgetError, match="no architecture of the space fits flops 1,000"):
        ask(WHOLE, 1000)


# What it finds


def test_it_rises_and_beats_chance_at_equal_trials() -> None:
    risen, won = [], []
    for seed in range(2):
        spos, chance = (
            [record.accuracy for record in evolved(proposer, WHOLE, seed, 12, 50)]
            for proposer in (SPOS, RANDOM)
        )
        generations = [spos[i : i + 50] for i in range(0, len(spos), 50)]
        risen.append(statistics.mean(generations[-1]) - statistics.mean(generations[0]))
        won.append(max(spos) - max(chance))
    assert min(risen) > 0.03
    assert min(won) > 0.01


def test_a_small_run_stays_as_it_was() -> None:
    """Golden: its best of four generations of ten, as the search printed it when it was new."""
    found = evolved(SPOS, WHOLE, 0, 4, 10)
    best = max(found, key=lambda record: record.accuracy)
    assert (found.index(best), round(best.accuracy, 6), best.macs) == (22, 0.78702, 358_505_664)
