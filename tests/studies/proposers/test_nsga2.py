import dataclasses
import itertools
import random
import statistics

import numpy as np
import optuna
import pytest

from hnas.architecture.space import Frame, distribution_space, size_space
from hnas.cost.flops import cheapest, cost
from hnas.cost.limits import sample_within
from hnas.errors import BudgetError
from hnas.studies.objective.costs import Costs
from hnas.studies.proposers.base import Turn
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.proposers.optuna_sampler import TRIES
from hnas.studies.trials.pareto import hypervolume, pareto
from hnas.studies.trials.record import Record
from tests.support.fake_scorer import FakeScorer

FRAME = Frame(image=32, channels=3, patch=4, classes=10, d=192, M=12, N=3)
BUDGET = cost(FRAME, FRAME.all_global()).macs
COSTS = Costs(frame=FRAME, flops=BUDGET)
STAGE_1 = distribution_space(FRAME, d_k=192, d_z=4, E=1, K=31)
STAGE_2 = size_space(
    FRAME,
    STAGE_1.sample(np.random.default_rng(0)),
    d_k=(96, 192, 384),
    d_z=(2, 4, 6),
    E=(1, 2, 4),
    K=(17, 31, 45),
)
SMALL = distribution_space(dataclasses.replace(FRAME, M=3), d_k=192, d_z=4, E=1, K=31)
SPACES = pytest.mark.parametrize("space", [STAGE_1, STAGE_2], ids=["stage 1", "stage 2"])


def scored(space, archs):
    scores = FakeScorer(frame=space.frame).score(archs)
    return [
        Record(
            number=i,
            generation=0,
            arch=arch,
            accuracy=score.accuracy,
            loss=score.loss,
            macs=cost(space.frame, arch).macs,
            params=0,
            seconds=0.0,
        )
        for i, (arch, score) in enumerate(zip(archs, scores, strict=True))
    ]


def ask(space, **changes):
    asked = dict(seed=0, generation=0, parents=[], population=20, costs=COSTS, seen=set(), count=20)
    return NSGA2.propose(Turn(space=space, **{**asked, **changes}))


@SPACES
def test_a_generation_is_a_pure_function_without_duplicates_within_the_budget(space):
    parents = scored(space, ask(space))
    seen = {record.arch for record in parents}
    first = ask(space, generation=1, parents=parents, seen=seen)
    again = ask(space, generation=1, parents=random.Random(0).sample(parents, 20), seen=seen)
    assert first == again
    assert len(seen | set(first)) == 40
    assert all(arch in space and cost(FRAME, arch).macs <= BUDGET for arch in first)
    assert first != ask(space, generation=1, parents=parents, seen=seen, seed=1)
    assert first != ask(space, generation=2, parents=parents, seen=seen)


def test_a_smaller_count_gives_the_first_of_the_same_list():
    parents = scored(STAGE_2, ask(STAGE_2))
    assert ask(STAGE_2, parents=parents, count=7) == ask(STAGE_2, parents=parents)[:7]


def test_children_are_made_of_their_parents():
    parents = scored(STAGE_1, ask(STAGE_1))
    children = ask(STAGE_1, generation=1, parents=parents, seen={p.arch for p in parents})

    def distance(arch):
        """To its two nearest parents: blocks that neither of them has."""
        pairs = ((a.arch.blocks, b.arch.blocks) for a in parents for b in parents)
        return min(
            sum(block not in choices for block, *choices in zip(arch.blocks, a, b, strict=True))
            for a, b in pairs
        )

    rng = np.random.default_rng(0)
    strangers = [STAGE_1.sample(rng) for _ in range(20)]
    assert statistics.mean(map(distance, children)) <= 1.5  # one mutation on average
    assert statistics.mean(map(distance, strangers)) > 2.5


@SPACES
def test_quality_rises_and_beats_random_at_equal_trials(space):
    population, generations = 25, 9
    risen, won = [], []
    for seed in range(3):
        parents, seen, found, volumes = [], set(), [], []
        for generation in range(generations):
            archs = ask(
                space,
                seed=seed,
                generation=generation,
                parents=parents,
                population=population,
                seen=seen,
                count=population,
            )
            members = scored(space, archs)
            seen.update(archs)
            found += members
            volumes.append(volume(found))
            parents = NSGA2.elites(space, COSTS, [*parents, *members], population)
        rng = np.random.default_rng(seed)
        draws = (space.sample(rng) for _ in itertools.count())
        fitting = (arch for arch in draws if cost(FRAME, arch).macs <= BUDGET)
        drawn = list(itertools.islice(fitting, len(found)))
        risen.append(volumes[-1] / volumes[1])
        won.append(volumes[-1] / volume(scored(space, drawn)))
    assert statistics.median(risen) > 1.1
    assert statistics.median(won) > 1.03


def volume(found):
    return hypervolume([(record.accuracy, record.macs) for record in found], BUDGET)


def test_elites_are_the_best_by_front():
    pool = scored(STAGE_1, ask(STAGE_1, population=60, count=60))
    kept = NSGA2.elites(STAGE_1, COSTS, pool, 20)
    assert len(kept) == 20
    assert NSGA2.elites(STAGE_1, COSTS, pool[::-1], 20) == kept
    left, front_of = list(pool), {}
    for rank in range(len(pool)):
        for record in [left[i] for i in pareto([(r.accuracy, r.macs) for r in left])]:
            front_of[record.number] = rank
            left.remove(record)
    worst = max(front_of[record.number] for record in kept)
    others = [record for record in pool if record not in kept]
    assert worst <= min(front_of[record.number] for record in others)


def test_few_trials_are_all_elites():
    pool = scored(SMALL, ask(SMALL, population=5, count=5))
    assert sorted(NSGA2.elites(SMALL, COSTS, pool, 5), key=lambda r: r.number) == pool


def test_a_small_space_is_searched_to_its_end():
    free = Costs(frame=SMALL.frame)
    found = ask(SMALL, costs=free, count=100)
    assert len(set(found)) == len(found) == SMALL.distinct == 64
    assert ask(SMALL, costs=free, seen=set(found)) == []
    assert ask(SMALL, costs=free, seen=set(found[1:])) == found[:1]


def test_in_a_large_space_with_hardly_any_room_the_search_ends(monkeypatch):
    least = cheapest(STAGE_2)
    drawn = []

    def counted(*arguments):
        drawn.append(1)
        return sample_within(*arguments)

    monkeypatch.setattr("hnas.studies.objective.costs.sample_within", counted)
    found = ask(STAGE_2, costs=Costs(frame=FRAME, flops=cost(FRAME, least).macs), population=4)
    assert found == [least]
    assert len(drawn) == TRIES * 4


def test_a_budget_that_nothing_fits_is_refused_before_anything_is_asked():
    with pytest.raises(BudgetError, match="no architecture of the space fits flops 1,000"):
        ask(STAGE_1, costs=Costs(frame=FRAME, flops=1000))


def test_a_space_of_one_architecture():
    space = size_space(FRAME, FRAME.all_global(), d_k=(192,), d_z=(4,), E=(1,), K=(31,))
    assert ask(space) == [FRAME.all_global()]
    assert ask(space, seen={FRAME.all_global()}) == []


def test_optuna_stays_silent_and_as_it_was(capfd):
    before = optuna.logging.get_verbosity()
    pool = scored(SMALL, ask(SMALL))
    NSGA2.elites(SMALL, COSTS, pool, 5)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before
