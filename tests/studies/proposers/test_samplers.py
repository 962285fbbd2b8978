"""Every sampler as a proposer: pure, resumed to the same trials, begun with the ends of a space."""

from __future__ import annotations

import random
from dataclasses import replace

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hnas.architecture.arch import SKIPPED, Arch
from hnas.architecture.space import Frame, Space, distribution_space, size_space, skippable
from hnas.cost.flops import cheapest, cost
from hnas.errors import InputError
from hnas.studies.objective.costs import Costs
from hnas.studies.plan import tables
from hnas.studies.plan.change import check_code, override
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.strategies import stages
from hnas.studies.proposers.base import Proposer, Turn, corners, starting_from
from hnas.studies.proposers.samplers import SAMPLERS, sampler
from hnas.studies.scoring.backend import Scorer
from hnas.studies.search.stage import SearchRules, run_stage
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from tests.support.fake_scorer import FakeScorer

FRAME = Frame(image=16, channels=1, patch=4, classes=10, d=24, M=4, N=3)
BUDGET = cost(FRAME, FRAME.all_global()).macs
COSTS = Costs(frame=FRAME, flops=BUDGET)
DISTRIBUTIONS = distribution_space(FRAME, d_k=24, d_z=4, E=1, K=9)
SIZES = size_space(
    FRAME, Arch((FRAME.block(2, 24, 4, 1, 9),) * 4), d_k=(12, 24), d_z=(2, 4), E=(1, 2), K=(5, 9)
)
TRIALS, POPULATION = 26, 8
HERE = "tests.studies.proposers.test_samplers"
OWN = f"{HERE}:quasi_monte_carlo"


def quasi_monte_carlo(population: int, seed: int) -> optuna.samplers.BaseSampler:
    """A sampler that hnas does not name."""
    return optuna.samplers.QMCSampler(seed=seed, warn_independent_sampling=False)


def nothing(population: int, seed: int) -> None:
    """No sampler."""


every = pytest.mark.parametrize("name", [*(name for name in SAMPLERS if name != "gp"), OWN])
"""All but the Gaussian process, whose asks take a second."""


def study() -> optuna.Study:
    return open_study(optuna.storages.InMemoryStorage(), "s", create=True)


class Broken(Exception):
    """The power went."""


class Breaking:
    """A scorer that breaks off after so many scores."""

    def __init__(self, after: int) -> None:
        self.left, self._scorer = after, FakeScorer(frame=FRAME)
        self.fingerprint = self._scorer.fingerprint

    def score(self, archs):
        for score in self._scorer.score(archs):
            self.left -= 1
            if self.left < 0:
                raise Broken
            yield score


def search(
    into: optuna.Study,
    space: Space,
    proposer: Proposer,
    scorer: Scorer | None = None,
    trials: int = TRIALS,
):
    rules = SearchRules(trials=trials, population=POPULATION, seed=5)
    asked = starting_from(corners(space, COSTS), proposer)
    scorer = scorer or FakeScorer(frame=FRAME)
    return run_stage(into, space, scorer, rules, costs=COSTS, proposer=asked).records


@pytest.fixture(scope="module")
def unbroken():
    """The trials of a sampler, searched once."""
    known: dict[str, tuple[Record, ...]] = {}

    def of(name: str) -> tuple[Record, ...]:
        if name not in known:
            known[name] = search(study(), DISTRIBUTIONS, sampler(name))
        return known[name]

    return of


@every
@settings(max_examples=3, deadline=None)
@given(breaks=st.lists(st.integers(1, TRIALS - 1), min_size=1, max_size=2))
def test_broken_off_anywhere_it_resumes_to_the_same_trials(unbroken, name, breaks):
    into = study()
    for after in breaks:
        try:
            search(into, DISTRIBUTIONS, sampler(name), Breaking(after))
        except Broken:
            continue
    assert search(into, DISTRIBUTIONS, sampler(name)) == unbroken(name)
    assert tuple(records(into)) == unbroken(name)


def test_a_gaussian_process_too_resumes_to_the_same_trials():
    into, trials = study(), 14  # it models from the eleventh on
    whole = search(study(), DISTRIBUTIONS, sampler("gp"), trials=trials)
    with pytest.raises(Broken):
        search(into, DISTRIBUTIONS, sampler("gp"), Breaking(12), trials=trials)
    assert search(into, DISTRIBUTIONS, sampler("gp"), trials=trials) == whole
    chance = search(study(), DISTRIBUTIONS, sampler("random"), trials=trials)
    assert whole[POPULATION:] != chance[POPULATION:]


@every
def test_trials_are_within_the_budget_and_none_is_there_twice(unbroken, name):
    found = [record.arch for record in unbroken(name)]
    assert len(set(found)) == len(found) == TRIALS
    assert all(COSTS.allow(arch) for arch in found)
    assert set(corners(DISTRIBUTIONS, COSTS)) <= set(found[:POPULATION])


@every
def test_a_generation_depends_on_no_order_and_a_smaller_count_is_its_beginning(unbroken, name):
    before = unbroken(name)[: 2 * POPULATION]
    proposer, rng = sampler(name), random.Random(0)

    def propose(count: int) -> list[Arch]:
        pool = proposer.elites(DISTRIBUTIONS, COSTS, rng.sample(before, len(before)), POPULATION)
        turn = Turn(
            space=DISTRIBUTIONS, costs=COSTS, seed=5, generation=2, population=POPULATION,
            parents=rng.sample(pool, len(pool)), seen={one.arch for one in before}, count=count,
        )  # fmt: skip
        return proposer.propose(turn)

    whole = propose(POPULATION)
    assert len(whole) == POPULATION
    assert propose(3) == whole[:3]


@pytest.mark.parametrize("name", ["tpe", "nsga3", OWN])
def test_the_space_of_sizes_is_searched_too(name):
    found = search(study(), SIZES, sampler(name))
    assert len({record.arch for record in found}) == TRIALS
    assert all(record.arch in SIZES for record in found)


@pytest.mark.parametrize("name", ["tpe", "nsga3"])
def test_a_model_finds_better_networks_than_chance(name):
    """The mean score of the generations after the first."""

    def mean(found) -> float:
        later = [record.accuracy for record in found if record.generation > 0]
        return sum(later) / len(later)

    ours, chance = (mean(search(study(), DISTRIBUTIONS, sampler(one))) for one in (name, "random"))
    assert ours > chance


def test_the_ends_of_a_space_are_the_cheapest_the_most_and_the_least_global():
    least, globals_, locals_ = corners(DISTRIBUTIONS, Costs(frame=FRAME))
    assert least == cheapest(DISTRIBUTIONS)
    assert [block.G for block in globals_.blocks] == [3] * 4
    assert [block.G for block in locals_.blocks] == [0] * 4
    tight = Costs(frame=FRAME, flops=cost(FRAME, least).macs)
    assert corners(DISTRIBUTIONS, tight) == (least,)
    skipping = skippable(distribution_space(FRAME, d_k=24, d_z=4, E=1, K=9))
    least, *others = corners(skipping, Costs(frame=FRAME))
    assert [block == SKIPPED for block in least.blocks] == [False, True, True, True]
    assert others == [globals_, locals_]
    ends = corners(SIZES, Costs(frame=FRAME))  # all blocks have the distribution's groups
    assert len(ends) == 2 and ends[0] == cheapest(SIZES) and ends[1] in SIZES


def test_a_plan_names_a_sampler_for_every_stage(tiny: Plan):
    assert list(SAMPLERS) == [*tables.SAMPLERS]
    for name in ("tpe", OWN):
        assert {stage.proposer.name for stage in stages(override(tiny, sampler=name))} == {name}
    flat = override(tiny, sampler="gp", strategy="flat")
    assert [stage.proposer.name for stage in stages(flat)] == ["gp"]
    usual = {"hierarchical": "nsga2", "high-level": "nsga2", "flat": "spos", "random": "random"}
    for strategy, name in usual.items():
        asked = stages(override(tiny, strategy=strategy))
        assert {stage.proposer.name for stage in asked} == {name}


def test_what_is_no_sampler_is_refused(tiny: Plan):
    with pytest.raises(InputError, match=r"sampler 'tpee' is unknown; did you mean 'tpe'\?"):
        override(tiny, sampler="tpee")
    with pytest.raises(InputError, match="must be random, or left out, in the strategy random"):
        override(tiny, sampler="tpe", strategy="random")
    for name, error in (
        (f"{HERE}:nothing", "must give a sampler of Optuna's"),
        ("x:y", "no modul"),
    ):
        with pytest.raises(InputError, match=error):
            search(study(), DISTRIBUTIONS, sampler(name))


def test_a_plan_of_others_may_not_run_the_code_that_it_names_as_a_sampler(tiny: Plan):
    named = replace(tiny, search=replace(tiny.search, sampler=OWN))
    with pytest.raises(InputError, match=f"search.sampler = '{OWN}'"):
        check_code(named, "the plan p.toml", allow="--allow-code")
