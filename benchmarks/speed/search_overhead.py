"""A search's own cost: its wall time over the scorer's, and its CPU time under stock Optuna's.

The scorer sleeps 50 ms an architecture, as one on a GPU leaves the processor free. A study is
filled with trials first; then the next ones are measured, from the first event to the last, so that
opening does not count, and stock `ask` and `tell` after them on the same study. PostgreSQL is
measured where HNAS_BENCH_POSTGRES is the URL of a server, without a database.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

import numpy as np
import optuna
from optuna.trial import FrozenTrial

from benchmarks.common import Row, compare, main
from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, Space, distribution_space, size_space
from hnas.cost.flops import cost
from hnas.persist.record import as_json
from hnas.studies.objective.costs import Costs
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.search.events import TrialEvent
from hnas.studies.search.stage import SearchRules, conditions, run_stage
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.encoding import distributions
from hnas.studies.trials.optuna_inside import database_of
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import key_of, open_study
from hnas.studies.trials.tables import insert_trials
from hnas.studies.trials.trial import finished_trial
from hnas.studies.trials.writing import writing
from tests.support.fake_scorer import FakeScorer

POPULATION = 50
FRAME = Frame(image=224, channels=3, patch=16, classes=1000, d=192, M=12, N=3)
BUDGET = cost(FRAME, FRAME.all_global()).macs
COSTS = Costs(frame=FRAME, flops=BUDGET)
SLEEP = 0.05


def spaces() -> dict[int, Space]:
    """By the number of a trial's parameters: stage 1, and stage 2 of an all-mixed network."""
    first = distribution_space(FRAME, d_k=192, d_z=4, E=1, K=31)
    mixed = Arch((first.choices[0][1],) * FRAME.M)
    second = size_space(
        FRAME, mixed, d_k=(96, 192, 384), d_z=(2, 4, 6), E=(1, 2, 4), K=(17, 31, 45)
    )
    made = {len(distributions(space)): space for space in (first, second)}
    assert list(made) == [12, 48]
    return made


def fill(study: optuna.Study, space: Space, trials: int) -> None:
    """Random distinct architectures within the budget, scored, in full generations."""
    scorer, rng = FakeScorer(frame=FRAME), np.random.default_rng(0)
    rules = SearchRules(trials=trials or 1, population=POPULATION)
    for name, value in as_json(conditions(space, scorer, rules, COSTS, NSGA2)).items():
        study.set_user_attr(name, value)
    distinct: set[Arch] = set()
    now, made = datetime.now(), list[FrozenTrial]()
    while len(distinct) < trials:
        arch = space.sample(rng)
        spent = cost(FRAME, arch)
        if arch in distinct or spent.macs > BUDGET:
            continue
        (score,) = scorer.score([arch])
        record = Record(
            number=len(distinct), generation=len(distinct) // POPULATION, arch=arch,
            accuracy=score.accuracy, loss=score.loss, macs=spent.macs, params=spent.params,
            seconds=SLEEP,
        )  # fmt: skip
        distinct.add(arch)
        made.append(finished_trial(space, record, costs=COSTS, started=now, completed=now))
    storage = database_of(study)
    assert storage is not None
    with writing(storage, key_of(study)) as connection:
        insert_trials(connection, key_of(study), made)


@contextmanager
def study(url: str, space: Space, trials: int) -> Iterator[optuna.Study]:
    """A study of its own, filled."""
    storage = open_storage(url, create=True)
    try:
        made = open_study(storage, "bench", create=True)
        fill(made, space, trials)
        yield made
    finally:
        close_storage(storage)


def searched(study: optuna.Study, space: Space, trials: int) -> tuple[float, float, float]:
    """Wall and CPU seconds a trial over the last trials but the first, and seconds to open."""
    clock: list[tuple[float, float]] = []

    def on_trial(event: TrialEvent) -> None:
        clock.append((time.perf_counter(), time.process_time()))

    began = time.perf_counter()
    run_stage(
        study, space, FakeScorer(frame=FRAME, sleep=SLEEP),
        SearchRules(trials=trials, population=POPULATION), costs=COSTS, on_trial=on_trial,
    )  # fmt: skip
    (wall, cpu), (last_wall, last_cpu) = clock[0], clock[-1]
    n = len(clock) - 1
    return (last_wall - wall) / n, (last_cpu - cpu) / n, wall - began


def stock(study: optuna.Study, space: Space, trials: int) -> float:
    """CPU seconds a trial of `ask` and `tell` with Optuna's sampler, the scorer's own left out."""
    free = distributions(space)
    study.sampler = optuna.samplers.NSGAIISampler(population_size=POPULATION, seed=0)
    study.tell(study.ask(free), [0.5, BUDGET])  # the first one reads everything
    began = time.process_time()
    for i in range(trials):
        study.tell(study.ask(free), [0.5, BUDGET - i])
    return (time.process_time() - began) / trials


def measure_at(
    backend: str, urls: Iterator[str], params: int, space: Space, have: int, *, new: int, asks: int
) -> list[Row]:
    what = f"search, {backend}, {params} params, at {have:,} trials"
    with study(next(urls), space, have) as mine:
        wall, cpu, opened = searched(mine, space, have + new)
    with study(next(urls), space, have) as other:
        theirs = stock(other, space, asks)
    print(
        f"{what}: {cpu * 1000:.1f} ms CPU a trial, the first came after {opened:.1f} s", flush=True
    )
    is_sqlite = backend == "SQLite"
    return [
        compare(
            f"{what}, wall over the scorer's", [wall], [SLEEP], "<= 1.1" if is_sqlite else None
        ),
        compare(f"{what}, CPU under ask/tell", [cpu], [theirs], ">= 2.5"),
    ]


def files(folder: str) -> Iterator[str]:
    return (f"sqlite:///{folder}/{i}.db" for i in itertools.count())


def databases(server: str) -> Iterator[str]:
    """New, empty databases of a PostgreSQL server; `server` is a URL without a database."""
    import psycopg

    for i in itertools.count():
        name = f"bench_{os.getpid()}_{i}"
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        yield f"{server}/{name}"


def measure(quick: bool) -> list[Row]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = []
    with tempfile.TemporaryDirectory(prefix="hnas-bench-") as folder:
        backends = {"SQLite": files(folder)}
        if server := os.environ.get("HNAS_BENCH_POSTGRES"):
            backends["PostgreSQL"] = databases(server)
        for backend, urls in backends.items():
            for (params, space), have in itertools.product(
                spaces().items(), (0, 60) if quick else (1000, 10_000)
            ):
                rows += measure_at(
                    backend, urls, params, space, have,
                    new=5 if quick else 200, asks=3 if quick else 50,
                )  # fmt: skip
    return rows


if __name__ == "__main__":
    main(measure, __doc__)
