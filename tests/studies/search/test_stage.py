import dataclasses
import itertools
import math
import threading
import time
from pathlib import Path

import numpy as np
import optuna
import pytest
from optuna.storages import RDBStorage

import hnas.studies.scoring.local_backend
from hnas.architecture.space import Frame, distribution_space, size_space
from hnas.cost.flops import cost
from hnas.errors import BudgetError, InputError, MismatchError, StateError, StorageError
from hnas.studies.objective.costs import Costs
from hnas.studies.proposers.base import Turn, starting_from
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.search.stage import SearchRules, run_stage
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.pareto import front, hypervolume
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from tests.support.dashboard_api import asked
from tests.support.fake_scorer import FakeScorer
from tests.support.forked import Process

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
SCORER = FakeScorer(frame=FRAME)
RULES = SearchRules(trials=32, population=10, seed=3)


def in_memory():
    return open_study(optuna.storages.InMemoryStorage(), "s", create=True)


def run(study, *, space=STAGE_1, scorer=SCORER, rules=RULES, budget=BUDGET, **more):
    costs = Costs(frame=space.frame, flops=budget)
    return run_stage(study, space, scorer, rules, costs=costs, **more)


@pytest.fixture(scope="module")
def unbroken():
    return run(in_memory()).records


class Breaking:
    """A scorer that breaks off after so many scores, or gives one as no scorer should."""

    fingerprint = SCORER.fingerprint

    def __init__(self, after, last=None):
        self.left = after
        self.last = last if last is not None else RuntimeError("the power went")

    def score(self, archs):
        for score in SCORER.score(archs):
            self.left -= 1
            if self.left >= 0:
                yield score
            elif isinstance(self.last, BaseException):
                raise self.last
            else:
                yield from self.last(score)
                return


def test_a_study_has_its_trials_in_generations_without_duplicates(unbroken):
    assert [record.number for record in unbroken] == list(range(32))
    assert [record.generation for record in unbroken] == [0] * 10 + [1] * 10 + [2] * 10 + [3] * 2
    assert len({record.arch for record in unbroken}) == 32
    assert all(record.macs == cost(FRAME, record.arch).macs <= BUDGET for record in unbroken)
    for _, members in itertools.groupby(unbroken, key=lambda record: record.generation):
        keys = [record.arch.key for record in members]
        assert keys == sorted(keys)


def test_each_generation_is_bred_from_the_elites_of_those_before(unbroken):
    parents, seen = [], set()
    for generation in range(4):
        members = [record for record in unbroken if record.generation == generation]
        turn = Turn(
            space=STAGE_1,
            seed=RULES.seed,
            generation=generation,
            parents=parents,
            population=RULES.population,
            costs=COSTS,
            seen=seen,
            count=len(members),
        )
        children = NSGA2.propose(turn)
        assert {record.arch for record in members} == set(children)
        seen.update(children)
        parents = NSGA2.elites(STAGE_1, COSTS, [*parents, *members], RULES.population)


def test_what_is_stored_is_what_was_found(unbroken):
    study = in_memory()
    result = run(study)
    assert tuple(records(study)) == result.records == unbroken
    assert (result.scored, result.exhausted) == (32, False)
    assert front(records(study)) == front(unbroken)


@pytest.mark.parametrize("space", [STAGE_1, STAGE_2], ids=["stage 1", "stage 2"])
def test_resumed_at_any_trial_it_ends_as_if_unbroken(space):
    expected = run(in_memory(), space=space).records
    for after in (1, 7, 10, 31):
        study = in_memory()
        while len(records(study)) < 32:
            before = len(records(study))
            try:
                run(study, space=space, scorer=Breaking(after))
            except RuntimeError:
                assert len(records(study)) == before + after
        assert tuple(records(study)) == expected


@pytest.mark.parametrize(
    "kept",
    [
        None,
        {},
        "text",
        {"generation": 99, "trials": []},
        {"generation": -2, "trials": []},
        {"generation": 0, "trials": [[0]]},
        {"generation": 1, "trials": [10**6]},
        {"generation": 2, "trials": [0]},
    ],
    ids=str,
)
def test_parents_that_were_kept_wrongly_are_selected_again(unbroken, kept):
    study = in_memory()
    with pytest.raises(RuntimeError):
        run(study, scorer=Breaking(25))
    study.set_user_attr("parents", kept)
    if kept == {"generation": 2, "trials": [0]}:  # of a generation that is not whole
        assert len(records(study)) == 25
    assert run(study).records == unbroken


def test_a_search_that_resumes_selects_no_parents_anew(unbroken):
    asked = []

    def elites(*arguments):
        asked.append(arguments)
        return NSGA2.elites(*arguments)

    counted = dataclasses.replace(NSGA2, elites=elites)
    study = in_memory()
    with pytest.raises(RuntimeError):
        run(study, scorer=Breaking(25), proposer=counted)
    assert len(asked) == 2  # generations 0 and 1 are whole
    assert run(study, proposer=counted).records == unbroken
    assert len(asked) == 4  # generation 2, and the beginning of 3
    more = dataclasses.replace(RULES, trials=40)
    found = {record.arch for record in run(study, rules=more, proposer=counted).records}
    assert found == {record.arch for record in run(in_memory(), rules=more).records}
    assert len(asked) == 5


@pytest.mark.parametrize("end", [KeyboardInterrupt(), SystemExit(1), RuntimeError("power")])
def test_what_is_finished_is_stored_whatever_ends_the_run(end, monkeypatch):
    slow = threading.Event()
    write = hnas.studies.scoring.local_backend.write_trial

    def write_slowly(*arguments, **named):
        slow.wait(0.02)
        write(*arguments, **named)

    monkeypatch.setattr("hnas.studies.scoring.local_backend.write_trial", write_slowly)
    study = in_memory()
    with pytest.raises(type(end)):
        run(study, scorer=Breaking(7, end))
    assert len(records(study)) == 7
    assert not [thread for thread in threading.enumerate() if thread.name == "hnas-writer"]


def test_an_interrupt_while_telling_loses_nothing():
    study = in_memory()

    def tell(event):
        if event.done == 13:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(study, on_trial=tell)
    assert len(records(study)) >= 13  # what was told of is stored


def test_after_a_failed_write_nothing_more_is_written(monkeypatch):
    write = hnas.studies.scoring.local_backend.write_trial

    def fail_at_5(study, space, record, **named):
        if record.number == 5:
            time.sleep(0.1)  # others are waiting by now
            raise StorageError("the disk is full")
        write(study, space, record, **named)

    monkeypatch.setattr("hnas.studies.scoring.local_backend.write_trial", fail_at_5)
    study = in_memory()
    with pytest.raises(StorageError, match="the disk is full"):
        run(study)
    assert [record.number for record in records(study)] == [0, 1, 2, 3, 4]


def test_a_search_that_resumes_from_a_file_makes_no_trial_objects_of_optuna(tmp_path, monkeypatch):
    """With 10,000 trials they took four fifths of the time until the next one."""
    study = open_study(open_storage(f"sqlite:///{tmp_path}/s.db", create=True), "s", create=True)
    run(study, rules=dataclasses.replace(RULES, trials=13))
    made = []
    monkeypatch.setattr(RDBStorage, "_build_frozen_trial_from_trial_model", made.append)
    again = open_study(open_storage(f"sqlite:///{tmp_path}/s.db"), "s")
    assert run(again, rules=dataclasses.replace(RULES, trials=16)).scored == 3 and made == []
    assert [record.number for record in records(again)] == list(range(16))


def test_a_finished_study_goes_on_where_more_trials_are_asked(unbroken):
    study = in_memory()
    run(study, rules=dataclasses.replace(RULES, trials=14))
    result = run(study)
    assert result.scored == 18
    # The same trials; the generation that was cut short has them in another order.
    assert {(r.generation, r.arch, r.accuracy) for r in result.records} == {
        (r.generation, r.arch, r.accuracy) for r in unbroken
    }
    assert run(study).scored == 0
    assert run(study, rules=dataclasses.replace(RULES, trials=5)).records == result.records


def test_trials_are_told_as_they_come(unbroken):
    study = in_memory()
    before, told = [], []
    with pytest.raises(RuntimeError):
        run(study, scorer=Breaking(4), on_trial=before.append)
    run(study, on_trial=told.append)
    assert [event.record.number for event in before] == list(range(len(before)))
    assert [event.record.arch for event in told] == [record.arch for record in unbroken[4:]]
    assert [event.record.number for event in told] == list(range(4, 32))
    assert [event.done for event in told] == list(range(5, 33))
    for event in told:
        sofar = unbroken[: event.done]
        assert event.trials == 32
        best = max(sofar, key=lambda record: (record.accuracy, -record.macs))
        assert (event.best.accuracy, event.best.macs) == (best.accuracy, best.macs)
        points = [(record.accuracy, record.macs) for record in sofar]
        assert event.hypervolume == hypervolume(points, BUDGET)


@pytest.mark.parametrize("value", [{"accuracy": math.nan}, {"accuracy": 1.5}, {"loss": math.nan}])
def test_a_score_that_is_no_number_is_refused_and_not_stored(value):
    study = in_memory()
    with pytest.raises(StateError, match=r'finite loss, got .* for {"blocks".*a smaller lr') as e:
        run(study, scorer=Breaking(3, lambda score: [dataclasses.replace(score, **value)]))
    assert len(records(study)) == len(study.trials) == 3
    name, number = next(iter(value.items()))
    assert f"{name}={number}" in str(e.value)


def test_a_scorer_that_stops_short_is_refused():
    with pytest.raises(StateError, match="one score an architecture: 3 came for 10"):
        run(in_memory(), scorer=Breaking(3, lambda score: []))


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"budget": BUDGET + 1}, f"\n  budget: stored {BUDGET}, asked {BUDGET + 1}\n"),
        ({"rules": dataclasses.replace(RULES, seed=4)}, "\n  seed: stored 3, asked 4\n"),
        ({"rules": dataclasses.replace(RULES, population=11)}, "\n  population: stored 10, asked"),
        ({"scorer": FakeScorer(frame=FRAME, seed=1)}, "\n  scorer.seed: stored '0', asked '1'\n"),
        ({"space": STAGE_2}, "\n  space.blocks.0.d_z: stored [4], asked [2, 4, 6]\n"),
        ({"proposer": starting_from([FRAME.all_global()], NSGA2)}, "\n  start"),
    ],
)
def test_a_study_of_other_conditions_is_refused(changes, text):
    study = in_memory()
    run(study)
    with pytest.raises(MismatchError) as caught:
        run(study, **changes)
    message = str(caught.value)
    assert message.startswith("the trials of the study 's' cannot be compared with the ones asked")
    assert text in message
    assert message.endswith("or for a new study next to this one: hnas search --rescore")


def test_a_study_without_trials_takes_other_conditions():
    study = in_memory()
    with pytest.raises(RuntimeError):
        run(study, scorer=Breaking(0))
    run(study, rules=dataclasses.replace(RULES, seed=4))
    assert study.user_attrs["seed"] == 4


def test_a_small_space_ends_the_study_early():
    frame = dataclasses.replace(FRAME, M=2)
    space = distribution_space(frame, d_k=192, d_z=4, E=1, K=31)
    study = in_memory()
    budget = cost(frame, frame.all_global()).macs
    for again in (False, True):
        result = run(study, space=space, scorer=FakeScorer(frame=frame), budget=budget)
        assert result.exhausted
        assert len({record.arch for record in result.records}) == len(result.records) == 16
        assert result.scored == (0 if again else 16)


def test_a_budget_that_nothing_fits_leaves_the_study_as_it_was():
    study = in_memory()
    with pytest.raises(BudgetError, match=r"Raise flops to at least \d+"):
        run(study, budget=1000)
    assert not study.user_attrs and not study.trials


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"trials": 0}, "trials must be a whole number >= 1, got 0"),
        ({"trials": 9, "population": 1}, "population must be a whole number >= 2, got 1"),
        ({"trials": 9, "seed": -1}, "seed must be a whole number >= 0, got -1"),
    ],
)
def test_rules_are_checked_at_once(values, text):
    with pytest.raises(InputError, match=text):
        SearchRules(**values)


PROGRAM = """
import sys
sys.path.insert(0, {tests!r})
from test_stage import *
study = open_study(open_storage(sys.argv[1], create=True), "s", create=True)
scorer = FakeScorer(frame=FRAME, sleep=0.05)
run(study, scorer=scorer, on_trial=lambda event: print(event.done, flush=True))
"""


def test_killed_three_times_on_sqlite_it_ends_as_if_unbroken(tmp_path, unbroken):
    url = f"sqlite:///{tmp_path / 'study.db'}"
    tests = Path(__file__).parent
    told = 0
    for more in (4, 9, 8):
        child = Process(["-c", PROGRAM.format(tests=str(tests)), url])
        for line in itertools.islice(child.stdout, more):
            told = int(line)
        child.kill()  # SIGKILL, while trials are being written
        child.stdout.close()
        child.wait()
        assert told <= len(records(open_study(open_storage(url), "s"))) < 32
    assert told >= 21
    study = open_study(open_storage(url), "s")
    run(study)
    timeless = [dataclasses.replace(record, seconds=0.0) for record in records(study)]
    assert timeless == list(unbroken)


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """Of a storage with a finished study of three whole generations."""
    url = f"sqlite:///{tmp_path_factory.mktemp('studies') / 'study.db'}"
    study = open_study(open_storage(url, create=True), "stage 1", create=True)
    run(study, rules=dataclasses.replace(RULES, trials=30))
    return url


def test_stock_optuna_continues_with_the_last_generation_as_parents(url):
    sampler = optuna.samplers.NSGAIISampler(population_size=10, seed=0)
    study = optuna.load_study(storage=url, study_name="stage 1", sampler=sampler)
    found = records(study)
    trial = study.ask(study.trials[0].distributions)
    parents = {t.number for t in sampler.get_parent_population(study, 3)}
    assert study.trials[trial.number].system_attrs["NSGAIISampler:generation"] == 3
    assert parents & {record.number for record in found if record.generation == 2}
    ours = []
    for generation in range(3):
        members = [record for record in found if record.generation == generation]
        ours = NSGA2.elites(STAGE_1, COSTS, [*ours, *members], 10)
    assert parents == {record.number for record in ours}


@pytest.mark.parametrize("population", [10, 6])
def test_a_study_as_hnas_opens_it_continues_its_own_generations(tmp_path, population):
    """With Optuna's own population of 50 the next trial would be of generation 0."""
    storage = open_storage(f"sqlite:///{tmp_path}/study.db", create=True)
    rules = dataclasses.replace(RULES, population=population, trials=2 * population)
    run(open_study(storage, "s", create=True), rules=rules)
    for create in (False, True):
        study = open_study(storage, "s", create=create)
        trial = study.ask(study.trials[0].distributions)
        assert study.trials[trial.number].system_attrs["NSGAIISampler:generation"] == 2


def test_the_dashboard_shows_the_study(url):
    get = asked(url)
    (summary,) = get("/api/studies")["study_summaries"]
    assert summary["study_name"] == "stage 1"
    detail = get(f"/api/studies/{summary['study_id']}", "after=0")
    expected = records(open_study(open_storage(url), "stage 1"))
    assert detail["objective_names"] == ["held-out accuracy", "FLOPs (MACs)"]
    for shown, record in zip(detail["trials"], expected, strict=False):
        assert shown["values"] == [record.accuracy, record.macs]
        assert shown["constraints"] == [record.macs - BUDGET]
        assert {"key": "loss", "value": str(record.loss)} in shown["user_attrs"]
        assert [p["name"] for p in shown["params"]] == [f"b{i:02d}.G" for i in range(1, 13)]
