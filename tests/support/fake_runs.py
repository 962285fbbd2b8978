"""Runs without networks, in milliseconds: studies as a search leaves them, and a result."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.baselines.record import Baseline
from hnas.cost.flops import cost, plain_vit
from hnas.studies.plan.plan import Plan
from hnas.studies.report.gather import Report, gather
from hnas.studies.run.folder import Run
from hnas.studies.run.history import History, Row
from hnas.studies.run.latency import read_costs
from hnas.studies.run.networks import Identity
from hnas.studies.run.result import Inputs, Result, TrainedNetwork, write_result
from hnas.studies.search.stage import SearchRules, StageResult, run_stage
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.pareto import best_by_score
from hnas.studies.trials.study import open_study
from hnas.training.record import Held
from tests.support.fake_scorer import FakeScorer

IMAGES = 200
"""Of the test."""


def search(run: Run, *stages: int, trials: int = 12) -> list[StageResult]:
    """The trials of these stages; the studies of all are made."""
    storage = open_storage(run.storage, create=True)
    distribution, results = None, []
    for number, stage in enumerate(run.stages, 1):
        study = open_study(
            storage, run.study_name(number), create=True, objective=run.plan.search.objective
        )
        if number in stages:
            found = run_stage(
                study,
                stage.space(distribution),
                FakeScorer(frame=run.plan.net),
                SearchRules(trials=trials, population=5, seed=run.plan.search.seed),
                costs=read_costs(run),
                proposer=stage.proposer,
            )
            distribution = best_by_score(found.records, 1)[0].arch
            results.append(found)
    close_storage(storage)
    return results


def alone(plan: Plan, **more: Any) -> Identity:
    """The all-global network as the plan retrains it, but for `more`."""
    rules = plan.retrain
    asked = {"training": rules.training, "augment": rules.augment, "split": "s", "seed": 0}
    return Identity(frame=plan.net, arch=plan.net.all_global(), **(asked | more))


def finish(
    run: Run,
    *,
    winner: float = 0.9,
    all_global: float = 0.8,
    trials: int = 25,
    simple: float | None = None,
) -> None:
    """All stages, a split, and a result with these accuracies on IMAGES test images; with `simple`
    a simple model of that accuracy."""
    best = best_by_score(search(run, *range(1, len(run.stages) + 1), trials=trials)[-1].records, 2)
    net = run.plan.net
    candidates = [_network(net, r.arch, score=r.accuracy, accuracy=0.9) for r in best]
    other = _network(*plain_vit(net, candidates[0].macs), score=None, accuracy=0.8)
    result = Result(
        test_images=IMAGES,
        environment={"device": "cpu"},
        candidates=tuple(candidates),
        winner=replace(candidates[0], test_accuracy=winner),
        all_global=replace(other, test_accuracy=all_global),
        inputs=Inputs(
            image=net.image,
            channels=net.channels,
            classes=tuple(map(str, range(net.classes))),
            mean=(0.5,) * net.channels,
            std=(0.3,) * net.channels,
        ),
    )
    if simple is not None:
        one = Baseline(
            name="1-NN | *raw*", setting="k = 1", images=140, accuracy=0.7, test_accuracy=simple
        )
        result = replace(result, baselines=(one,))
    write_result(run, result)
    history = History(run)
    for epoch in (1, 2):
        row = Row(training="checkpoints/supernet1", epoch=epoch, epochs=2, loss=2 / epoch, lr=0.1)
        held = Held(accuracy=epoch / 4, loss=1 / epoch)
        alone = replace(row, training=f"networks/{other.key}", plain=held, averaged=held)
        history.add(row)
        history.add(alone)
    for stage, asked in enumerate(run.stages, 1):
        index = {"versions": [{"meta": {"epoch": asked.training.epochs}}]}
        run.write(f"checkpoints/supernet{stage}.json", index)
    split = {"train": list(range(100)), "held_out": list(range(100, 140)), "test": None}
    run.write("split.json", {**split, "labels": "0"})


def report(run: Run) -> Report:
    """The run's report, with a rough guess of what importance chance gives: that takes longest."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hnas.studies.findings.importances.SHUFFLED", 5)
        return gather(run)


def _network(frame: Frame, arch: Arch, *, score: float | None, accuracy: float) -> TrainedNetwork:
    spent = cost(frame, arch)
    return TrainedNetwork(
        key="0",
        frame=frame,
        arch=arch,
        macs=spent.macs,
        params=spent.params,
        accuracy=accuracy,
        loss=1.0,
        epochs=1,
        score=score,
    )
