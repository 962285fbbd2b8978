"""Training and scoring on the cores of one machine: threads of one process, or a process a core.

    python -m benchmarks.speed.together [--quick] [--json FILE]

(i) A generation is scored by one process with all threads; by one with one; and in parts, which
are neighbours, by as many processes of one thread as there are threads. (ii) Candidates are trained
one after the other by one process with all threads, or one; and at the same time by as many
processes. In turn, as often as there are rounds; the median counts. On a busy machine threads of
one process wait for each other in circles, longer than they compute: `--no-threads` leaves that way
out. The start of a process is in the time of training, and beside that of scoring. `digits` is the
preset; `photos` has the plan of benchmarks/plans/photos-small.toml, with digits of 32 pixels and
three channels instead of photos, which cost the same. Nothing is searched: weights are random.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import Row, write_rows
from benchmarks.speed.scoring import generations
from hnas.architecture.arch import Arch
from hnas.machine import cpu_seconds
from hnas.network.supernet import Supernet
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import load_plan, load_preset
from hnas.studies.run.folder import begin_run
from hnas.studies.run.images import prepared
from hnas.studies.scoring.supernet_scorer import SupernetScorer
from hnas.studies.search.retrain import Asked, retrain_networks
from hnas.studies.search.session import Session
from hnas.studies.search.torchrun import dealt

PLANS = Path(__file__).parents[1] / "plans"
GENERATION, CANDIDATES = 50, 4
ONE = "1 process, 1 thread"
EPOCHS = {"digits": 6, "photos": 4}


def plan_of(kind: str, quick: bool) -> Plan:
    if kind == "digits":
        plan = load_preset("digits")
    else:
        plan = load_plan(PLANS / "photos-small.toml")
        plan = replace(plan, data=replace(plan.data, source="digits", limit=1500))
    retrain = replace(plan.retrain, start="scratch", refit=False, refit_epochs=0)
    epochs = 1 if quick else EPOCHS[kind]
    retrain = replace(retrain, training=replace(retrain.training, epochs=epochs))
    return replace(plan, retrain=retrain)


_scorer: SupernetScorer | None = None


def make_scorer(kind: str, threads: int) -> float:
    """Gives this process a scorer of the kind; the CPU seconds until it had one."""
    global _scorer
    torch.set_num_threads(threads)
    plan = plan_of(kind, quick=False)
    net = Supernet(plan.space1())
    net.reset(0)
    _scorer = SupernetScorer(net, prepared(plan)[0], plan.score)
    return time.process_time()


def score(archs: Sequence[Arch]) -> tuple[list[tuple[float, float]], float]:
    """Accuracies and losses, and the CPU seconds that they took."""
    assert _scorer is not None
    began = time.process_time()
    found = [(one.accuracy, one.loss) for one in _scorer.score(archs)]
    return found, time.process_time() - began


def measured(ways: Mapping[str, Callable[[], Row]], rounds: int, *, threads: bool) -> Iterator[Row]:
    """Each way, in turn; of its numbers the median. Without `threads`, not the first."""
    ways = ways if threads else dict([*ways.items()][1:])
    found: dict[str, list[Row]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            row = way()
            found[name].append({"seconds": time.perf_counter() - began, **row})
    first = found[ONE][0]["found"]
    for name, rows in found.items():
        numbers = {
            key: statistics.median(float(str(row[key])) for row in rows)
            for key in ("seconds", "cpu seconds")
        }
        same = all(row["found"] == first for row in rows)
        yield {"way": name, **numbers, "as one thread to the bit": same, "rounds": rounds}


def scoring(kind: str, count: int, rounds: int, threads: bool) -> Iterator[Row]:
    """Part (i)."""
    plan = plan_of(kind, quick=False)
    *_, last = generations(plan.space1(), trials=2 * GENERATION, population=GENERATION)
    archs = sorted(last, key=lambda arch: arch.key)
    make_scorer(kind, 1)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, context, make_scorer, (kind, 1)) as pool:
        parts = [archs[part.start : part.stop] for part in dealt(len(archs), count)]
        began = time.perf_counter()
        list(pool.map(score, parts))
        start = time.perf_counter() - began

        def here(threads: int) -> Row:
            torch.set_num_threads(threads)
            found, spent = score(archs)
            return {"found": found, "cpu seconds": spent}

        def apart() -> Row:
            several = list(pool.map(score, parts))
            joined = [one for found, _ in several for one in found]
            return {"found": joined, "cpu seconds": sum(spent for _, spent in several)}

        ways = {
            f"1 process, {count} threads": lambda: here(count),
            ONE: lambda: here(1),
            f"{count} processes, 1 thread each": apart,
        }
        for row in measured(ways, rounds, threads=threads):
            yield {"kind": kind, "what": f"scoring {len(archs)}", **row}
        yield {"kind": kind, "what": "start of the processes, and a generation", "seconds": start}


def training(kind: str, count: int, rounds: int, threads: bool, quick: bool) -> Iterator[Row]:
    """Part (ii)."""
    plan, rng = plan_of(kind, quick), np.random.default_rng(0)
    archs = [plan.space1().sample(rng) for _ in range(CANDIDATES)]
    asked = [Asked(arch=arch, what=f"{i}") for i, arch in enumerate(archs)]

    def trained(processes: int, all_threads: int) -> Row:
        torch.set_num_threads(all_threads)
        rules = replace(plan.retrain, processes=processes)
        with tempfile.TemporaryDirectory() as folder:
            run = begin_run(Path(folder) / "run", replace(plan, retrain=rules))
            session = Session(run, torch.device("cpu"))
            with run.hold(), contextlib.closing(session):
                _ = session.data
                began = cpu_seconds()
                found = [(one.accuracy, one.loss) for one in retrain_networks(session, asked)]
                return {"found": found, "cpu seconds": cpu_seconds() - began}

    ways = {
        f"1 process, {count} threads": lambda: trained(1, count),
        ONE: lambda: trained(1, 1),
        f"{count} processes, 1 thread each": lambda: trained(count, count),
    }
    for row in measured(ways, rounds, threads=threads):
        yield {"kind": kind, "what": f"training {CANDIDATES}", **row}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--threads", type=int, default=2, help="in all")
    parser.add_argument("--no-threads", action="store_true", help="no way with several threads")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    rows: list[dict[str, object]] = []
    rounds = 1 if options.quick else options.rounds
    for kind in EPOCHS:
        several = (
            scoring(kind, options.threads, rounds, not options.no_threads),
            training(kind, options.threads, rounds, not options.no_threads, options.quick),
        )
        for part in several:
            for row in part:
                rows.append({**row, "load": round(os.getloadavg()[0], 1)})
                print(rows[-1], flush=True)
                if options.json:
                    command = "python -m benchmarks.speed.together"
                    write_rows(options.json, rows, options.threads, command)


if __name__ == "__main__":
    main()
