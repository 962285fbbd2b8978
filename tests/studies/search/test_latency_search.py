"""A search for latency: by a table that is measured once, whatever happens then."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import optuna
import pytest
import torch

from hnas.architecture.arch import Arch
from hnas.cost.block_latency import measure
from hnas.errors import BudgetError, MismatchError, StateError
from hnas.scoring.record import Score
from hnas.settings import DistillationRules
from hnas.studies.objective.costs import OBJECTIVES, Costs
from hnas.studies.plan.change import override
from hnas.studies.plan.plan import Plan
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.latency import FILE, read_costs, read_measured
from hnas.studies.run.status import read_status
from hnas.studies.run.times import read_times
from hnas.studies.scoring.backend import Scorer
from hnas.studies.search.events import Listener
from hnas.studies.search.finish import finish
from hnas.studies.search.search import search_stage
from hnas.studies.search.session import Session
from hnas.studies.search.stage import SearchRules, run_stage
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.pareto import front, hypervolume
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import open_study
from tests.support.dashboard_api import asked
from tests.support.fake_latency import fake_table
from tests.support.fake_scorer import FakeScorer

RULES = SearchRules(trials=24, population=8, seed=1)


def study_of(url: str, objective: str) -> optuna.Study:
    return open_study(open_storage(url, create=True), "s", create=True, objective=objective)


def searched(
    study: optuna.Study, plan: Plan, costs: Costs, trials: int = 24, scorer: Scorer | None = None
) -> list[Record]:
    scorer, rules = scorer or FakeScorer(frame=plan.net), replace(RULES, trials=trials)
    return list(run_stage(study, plan.space2(), scorer, rules, costs=costs).records)


class Breaking:
    """Scores so many, then the power goes."""

    def __init__(self, plan: Plan, after: int) -> None:
        self._whole, self._left = FakeScorer(frame=plan.net), after
        self.fingerprint = self._whole.fingerprint

    def score(self, archs: Sequence[Arch]) -> Iterator[Score]:
        for score in self._whole.score(archs):
            if not self._left:
                raise KeyboardInterrupt
            self._left -= 1
            yield score


@pytest.mark.parametrize("objective", ["latency", "both"])
def test_broken_off_and_resumed_it_ends_as_unbroken(
    objective: str, tiny: Plan, tmp_path: Path
) -> None:
    costs = override(tiny, objective=objective).costs(fake_table(tiny.space1(), tiny.space2()))
    whole = searched(study_of(f"sqlite:///{tmp_path}/a.db", objective), tiny, costs)
    broken = study_of(f"sqlite:///{tmp_path}/b.db", objective)
    for after in (3, 8, 6):
        with pytest.raises(KeyboardInterrupt):
            searched(broken, tiny, costs, scorer=Breaking(tiny, after))
    parts = searched(broken, tiny, costs)
    assert [replace(one, seconds=0.0) for one in parts] == [
        replace(one, seconds=0.0) for one in whole
    ]
    assert all(costs.allow(one.arch) for one in whole)
    assert [one.latency for one in whole] == [costs.spent(one.arch).latency for one in whole]


def test_stock_optuna_reads_three_objectives(tiny: Plan, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    costs = override(tiny, objective="both").costs(fake_table(tiny.space1(), tiny.space2()))
    found = searched(study_of(url, "both"), tiny, costs)
    study = optuna.load_study(storage=url, study_name="s")
    assert study.metric_names == ["held-out accuracy", "FLOPs (MACs)", "latency (ms)"]
    best = {trial.number for trial in study.best_trials}
    assert {one.number for one in front(found, "both")} <= best  # of equal ones it keeps all
    for trial, one in zip(study.trials, found, strict=True):
        assert trial.values == [one.accuracy, one.macs, (one.latency or 0) / 1e6]
        assert trial.user_attrs["latency_ns"] == one.latency
        assert max(trial.constraints.values()) <= 0


def test_the_dashboard_shows_three_objectives(tiny: Plan, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/study.db"
    costs = override(tiny, objective="both").costs(fake_table(tiny.space1(), tiny.space2()))
    found = searched(study_of(url, "both"), tiny, costs)
    get = asked(url)
    (summary,) = get("/api/studies")["study_summaries"]
    assert summary["directions"] == ["maximize", "minimize", "minimize"]
    detail = get(f"/api/studies/{summary['study_id']}", "after=0")
    assert detail["objective_names"] == ["held-out accuracy", "FLOPs (MACs)", "latency (ms)"]
    assert len(detail["trials"]) == len(found)
    for shown, one in zip(detail["trials"], found, strict=True):
        assert shown["values"] == [one.accuracy, one.macs, (one.latency or 0) / 1e6]
        assert shown["constraints"] == costs.excess(one.arch)


def test_elites_are_those_of_the_objective(tiny: Plan) -> None:
    """Latency alone forgets MACs: of two equally fast and accurate networks both may stay."""
    table = fake_table(tiny.space1(), tiny.space2())
    costs = {name: override(tiny, objective=name).costs(table) for name in OBJECTIVES}
    study = open_study(optuna.storages.InMemoryStorage(), "s", create=True, objective="both")
    pool = searched(study, tiny, costs["both"])
    for name in ("flops", "latency"):
        kept = NSGA2.elites(tiny.space2(), costs[name], pool, len(front(pool, name)))
        assert {one.number for one in front(pool, name)} == {one.number for one in kept}


def test_a_study_of_another_objective_or_table_is_refused(tiny: Plan) -> None:
    table, other = (fake_table(tiny.space1(), tiny.space2(), seed=seed) for seed in (0, 1))
    plan = override(tiny, objective="latency", latency="10ms")
    storage = optuna.storages.InMemoryStorage()
    study = open_study(storage, "s", create=True, objective="latency")
    searched(study, tiny, plan.costs(table), trials=3)
    with pytest.raises(MismatchError, match=f"latency_table: stored '{table.digest}', asked"):
        searched(study, tiny, plan.costs(other))
    with pytest.raises(MismatchError, match="objective: stored 'latency', asked 'flops'"):
        searched(study, tiny, tiny.costs())
    with pytest.raises(MismatchError, match="must maximize held-out accuracy and minimize FLOPs"):
        open_study(storage, "s", create=True, objective="both")


class Notes(Listener):
    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, text: str) -> None:
        self.told.append(text)


@contextlib.contextmanager
def steps(run: Run, listener: Listener | None = None):
    with contextlib.closing(Session(run, torch.device("cpu"), listener)) as session:
        yield session


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real measurement, of one round."""
    monkeypatch.setattr("hnas.studies.search.measure_latency.measure", partial(measure, rounds=1))


def test_a_whole_search_keeps_its_table(
    tiny: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, notes = override(tiny, objective="latency"), Notes()
    first = begin_run(tmp_path / "first", plan)
    with steps(first, notes) as session:
        search_stage(session, 1)
        search_stage(session, 2)
        result = finish(session)
    measured = read_measured(first)
    assert measured is not None and measured.error.networks == 16
    assert notes.told[0].startswith("measuring the latencies of ")
    assert notes.told[1] == measured.words and "Kendall's tau" in measured.words
    assert read_times(first).seconds["latency table"] > 0
    kept = (first.folder / FILE).read_bytes()

    # The same table on "another machine": the same search, and it says so.
    moved = {**json.loads(kept), "cpu": "Another"}
    second = begin_run(tmp_path / "second", plan)
    second.write(FILE, moved)
    monkeypatch.setattr(
        "hnas.studies.search.measure_latency.measure", None
    )  # nothing is measured again
    notes = Notes()
    with steps(second, notes) as session:
        search_stage(session, 1)
        search_stage(session, 2)
        again = finish(session)
    assert notes.told[0].startswith(
        "latencies stay those that were measured elsewhere: cpu Another"
    )
    assert again == result and "latency table" not in read_times(second).seconds
    status, other = read_status(first), read_status(second)
    for one, same in zip(status.stages, other.stages, strict=True):
        timeless = [replace(record, seconds=0.0) for record in same.front]
        assert [replace(record, seconds=0.0) for record in one.front] == timeless

    costs = read_costs(first)
    assert status.result is not None and costs.table is not None
    winner, plain = status.result.winner, status.result.all_global
    assert winner.latency == costs.table.of(winner.arch)
    assert plain.latency == costs.table.plain[plain.d]
    assert plain.d == costs.table.widest(winner.latency)
    for stage in status.searched:
        assert (stage.costs.words(), stage.costs.bounds) == (costs.words(), costs.bounds)
        points = [stage.costs.point(record) for record in stage.records]
        assert 0 <= hypervolume(points, *stage.costs.bounds) < 1


@pytest.mark.parametrize("objective", ["flops", "both"])
def test_an_all_global_network_that_nobody_measured_has_no_latency(
    tiny: Plan, tmp_path: Path, objective: str
) -> None:
    """Behind the teacher's stem its blocks are no candidates; what is as fast has another stem."""
    net = replace(tiny.net, d=48, stem="residual", patch=2, pool="mean")
    rules = DistillationRules(teacher="cnn", rule="soft", stem=True)
    retrain = replace(tiny.retrain, distillation=rules, refit=True, refit_epochs=1)
    plan = override(replace(tiny, net=net, retrain=retrain), objective=objective, latency="1s")
    notes = Notes()
    with steps(begin_run(tmp_path / "run", plan), notes) as session:
        search_stage(session, 1)
        search_stage(session, 2)
        result = finish(session)
    assert result.winner.latency is not None
    same = result.all_global.frame == result.winner.frame
    assert same == (objective == "flops") == all("no effect" not in note for note in notes.told)
    [cnn] = result.baselines
    assert cnn.gave_stem == same
    if same:
        assert result.all_global.latency is None


def test_a_latency_that_nothing_has_can_be_mended(tiny: Plan, tmp_path: Path) -> None:
    run = begin_run(tmp_path / "run", override(tiny, objective="latency", latency="1ns"))
    message = r"stage 1: .*the fastest takes \d"
    with steps(run) as session, pytest.raises(BudgetError, match=message):
        search_stage(session, 1)
    mended = begin_run(tmp_path / "run", override(tiny, objective="latency", latency="1s"))
    with steps(mended) as session:
        assert search_stage(session, 1).records


def test_a_damaged_table_is_told(tiny: Plan, tmp_path: Path) -> None:
    run = begin_run(tmp_path / "run", override(tiny, objective="latency"))
    run.write(FILE, {"table": {}})
    with pytest.raises(StateError, match=r"latency.json is no latency table .*Restore it"):
        read_costs(run)
