"""Scoring by workers: how it scales, what the queue costs, and that kills lose nothing.

    python -m benchmarks.speed.workers [--quick] [--json FILE]

On a PostgreSQL server of its own, as the tests make it, all on this machine. Scorers that sleep
stand for machines of their own; real ones (an untrained supernet of the digits preset, whose scores
cost the same) share this machine's cores, one thread each.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import optuna
from sqlalchemy import event

from benchmarks.common import paper_preset, write_rows
from hnas.architecture.space import Frame, Space, distribution_space, size_space
from hnas.cost.flops import cost
from hnas.studies.objective.costs import Costs
from hnas.studies.scoring import worker
from hnas.studies.scoring.backend import Scorer
from hnas.studies.scoring.queue_backend import QueueBackend
from hnas.studies.scoring.worker import Worker
from hnas.studies.search.stage import SearchRules, run_stage
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.reach import reach
from hnas.studies.trials.study import open_study
from hnas.studies.trials.work_request import WorkRequest, announce, dismiss
from tests.support.fake_scorer import FakeScorer
from tests.support.postgres import new_database, served

FRAME = Frame(image=32, channels=3, patch=4, classes=10, d=192, M=12, N=3)
SPACES = {
    "12 params": distribution_space(FRAME, d_k=192, d_z=4, E=1, K=31),
    "60 params": size_space(
        FRAME, None, d_k=(96, 192, 384), d_z=(2, 4, 6), E=(1, 2, 4), K=(17, 31, 45)
    ),
}
POPULATION = 48


def scorer_of(space: Space, kind: str) -> Scorer:
    """`real`, or seconds to sleep."""
    if kind != "real":
        return FakeScorer(frame=space.frame, sleep=float(kind))
    import torch

    from hnas.data import prepare
    from hnas.network.supernet import Supernet
    from hnas.studies.scoring.supernet_scorer import SupernetScorer

    torch.set_num_threads(1)
    plan = paper_preset("digits")
    data, _ = prepare(plan.data, image=plan.net.image, channels=plan.net.channels, seed=0)
    net = Supernet(space)
    net.reset(0)
    return SupernetScorer(net, data, plan.score)


class Statements:
    """Counts what is asked of a database."""

    def __init__(self, storage: Any) -> None:
        self.count = 0
        event.listen(storage.engine, "before_cursor_execute", self._one)

    def _one(self, *args: Any) -> None:
        self.count += 1


class Looks:
    """Counts what looking for studies with work costs, of which some finds none."""

    def __init__(self) -> None:
        self.seconds, self._look = 0.0, worker.queues
        worker.queues = self._one

    def _one(self, *args: Any) -> Any:
        began = time.thread_time()
        try:
            return self._look(*args)
        finally:
            self.seconds += time.thread_time() - began


def work(url: str, kind: str) -> None:
    """A worker, as a process: prints its trials, CPU seconds, statements and CPU seconds of looking
    for work at the end, all since it had its scorer."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = reach(url, 60, print)
    asked, looks, began = Statements(storage), Looks(), [0.0, 0.0, 0.0]

    def load(request: WorkRequest, space: Space) -> Scorer:
        scorer = scorer_of(space, kind)
        began[:] = [time.process_time(), asked.count, looks.seconds]
        return scorer

    def told(told: Any) -> None:
        print("told", flush=True)

    print("ready", flush=True)
    scored = Worker(storage, load, idle=0.0, on_trial=told).work()
    spent, statements = time.process_time() - began[0], asked.count - began[1]
    print("end", scored, spent, statements, looks.seconds - began[2], flush=True)


def start(url: str, kind: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.speed.workers", "--work", url, kind],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def searched(
    url: str | None, space: Space, kind: str, trials: int, count: int, kill_every: float = 0.0
) -> dict[str, Any]:
    """One search by `count` workers, or in this process where there is no `url`."""
    scorer = scorer_of(space, kind)
    costs = Costs(frame=space.frame, flops=cost(space.frame, space.frame.all_global()).macs)
    rules = SearchRules(trials=trials, population=min(POPULATION, trials), seed=0)
    if url is None:
        study = open_study(optuna.storages.InMemoryStorage(), "s", create=True)
        began = time.perf_counter()
        found = run_stage(study, space, scorer, rules, costs=costs)
        wall = time.perf_counter() - began
        return {"wall": wall, "trials": trials, "values": values(found.records)}
    storage = open_storage(url, create=True)
    study = open_study(storage, "s", create=True)
    lease = 2.0 if kill_every else 20.0
    announce(study, WorkRequest(run="", name="s", stage=1, lease=lease))
    asked, kills, ended = Statements(storage), [0], threading.Event()
    with ExitStack() as stack:
        crew = [start(url, kind) for _ in range(count)]
        stack.callback(lambda: [one.kill() for one in crew])

        def reap() -> None:
            for i in itertools.count():
                if ended.wait(kill_every):
                    return
                crew[i % count].kill()
                crew[i % count].wait()
                crew[i % count] = start(url, kind)
                kills[0] += 1

        reaper = threading.Thread(target=reap) if kill_every else None
        if reaper is not None:
            reaper.start()
        before, statements, began = time.process_time(), asked.count, time.perf_counter()
        backend = partial(QueueBackend, lease=lease)
        found = run_stage(study, space, scorer, rules, costs=costs, backend=backend)
        wall, spent = time.perf_counter() - began, time.process_time() - before
        statements = asked.count - statements
        ended.set()
        if reaper is not None:
            reaper.join()
        dismiss(storage, "s")
        ends = [one.communicate(timeout=120)[0].splitlines()[-1].split() for one in crew]
    rows = len(study.get_trials(deepcopy=False))
    close_storage(storage)
    scored, cpu, its, looking = (sum(float(end[i]) for end in ends) for i in (1, 2, 3, 4))
    return {
        "wall": wall,
        "trials": trials,
        "rows": rows,
        "values": values(found.records),
        "kills": kills[0],
        "coordinator CPU ms a trial": 1000 * spent / trials,
        "coordinator statements a trial": statements / trials,
        "worker CPU ms a trial": 1000 * cpu / max(scored, 1),
        "of it looking for work": 1000 * looking / max(scored, 1),
        "worker statements a trial": its / max(scored, 1),
    }


def values(found: Sequence[Any]) -> list[Any]:
    return sorted((r.number, r.arch.key, r.accuracy, r.loss) for r in found)


def measure(server: Any, quick: bool) -> Iterator[dict[str, Any]]:
    whole = SPACES["12 params"]
    frame = paper_preset("digits").net
    real = distribution_space(frame, d_k=frame.d, d_z=4, E=1, K=frame.T // 2 * 2 - 1)
    counts = (1, 2) if quick else (1, 2, 4, 8)
    kinds = [
        ("0.05", "12 params", whole, 12 if quick else 192, counts),
        ("0.05", "60 params", SPACES["60 params"], 12 if quick else 96, (1, counts[-1])),
        ("0.5", "12 params", whole, 8 if quick else 96, counts),
        ("real", "digits", real, 8 if quick else 192, (1, 2)),
    ]
    for kind, name, space, trials, several in kinds:
        here = searched(None, space, kind, trials, 0)
        yield {"scorer": kind, "space": name, "workers": 0, **here}
        for count in several:
            row = searched(new_database(server.url), space, kind, trials, count)
            row["speedup"] = here["wall"] / row["wall"]
            row["same as one process"] = row["values"] == here["values"]
            yield {"scorer": kind, "space": name, "workers": count, **row}
    here = searched(None, whole, "0.0", 12 if quick else 240, 0)
    # Long enough to be hit: 0.3 s a score, a worker killed every second or so.
    row = searched(new_database(server.url), whole, "0.3", here["trials"], 3, kill_every=1.0)
    row["same as one process"] = row["values"] == here["values"]
    yield {"scorer": "0.3", "space": "12 params", "workers": 3, **row}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the rows there")
    parser.add_argument("--work", nargs=2, metavar=("URL", "SCORER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(*options.work)
        return
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = []
    with served() as server:
        for row in measure(server, options.quick):
            row.pop("values")
            row["load"] = round(os.getloadavg()[0], 1)
            cells = [f"{k} {v:.3g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items()]
            print(", ".join(cells), flush=True)
            rows.append(row)
            if options.json:
                write_rows(
                    options.json, rows, options.threads, "python -m benchmarks.speed.workers"
                )


if __name__ == "__main__":
    main()
