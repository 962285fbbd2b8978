"""The time until a search that resumes scores its next architecture, with 10,000 trials behind it.

A study is filled with trials of GLiT-Tiny's size (12 parameters in stage 1, 48 in stage 2). The
first search that goes on from it selects the parents of all generations, as every search did before
they were kept; it keeps those of its last generation. The second one is what a user waits for. Each
is timed from opening the storage to the first trial, on the clock and in CPU time, which a busy
machine changes less. The scorer takes no time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import optuna

from benchmarks.common import write_rows
from benchmarks.speed.search_overhead import COSTS, FRAME, POPULATION, fill, spaces
from hnas.architecture.space import Space
from hnas.studies.search.events import TrialEvent
from hnas.studies.search.stage import SearchRules, run_stage
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.study import open_study
from tests.support.fake_scorer import FakeScorer

ASKED = 2.0
"""Seconds that a search with 10,000 trials shall take at most."""


def first_trial(url: str, space: Space, trials: int) -> tuple[float, float]:
    """Seconds, and seconds of CPU, from opening the study to the first new one of its `trials`."""
    clock: list[tuple[float, float]] = []

    def on_trial(event: TrialEvent) -> None:
        clock.append((time.perf_counter(), time.process_time()))

    began, cpu = time.perf_counter(), time.process_time()
    storage = open_storage(url)
    try:
        run_stage(
            open_study(storage, "bench"), space, FakeScorer(frame=FRAME),
            SearchRules(trials=trials, population=POPULATION), costs=COSTS, on_trial=on_trial,
        )  # fmt: skip
    finally:
        close_storage(storage)
    first, its_cpu = clock[0]
    return first - began, its_cpu - cpu


def measured(params: int, space: Space, have: int) -> dict[str, float]:
    """A study of `have` trials: seconds of the first and of the second resumption."""
    with tempfile.TemporaryDirectory(prefix="hnas-bench-") as folder:
        url = f"sqlite:///{folder}/study.db"
        storage = open_storage(url, create=True)
        fill(open_study(storage, "bench", create=True), space, have)
        close_storage(storage)
        anew, anew_cpu = first_trial(url, space, have + POPULATION)
        kept, kept_cpu = first_trial(url, space, have + 2 * POPULATION)
    return {
        **{"params": params, "trials": have, "selected anew": anew, "parents kept": kept},
        **{"selected anew, CPU": anew_cpu, "parents kept, CPU": kept_cpu},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=10_000, help="trials behind it")
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = []
    for params, space in spaces().items():
        row = measured(params, space, options.trials)
        rows.append(row)
        reached = "reached" if row["parents kept, CPU"] <= ASKED else "MISSED"
        print(
            f"{params} params, {options.trials:,} trials: the first new trial after "
            f"{row['selected anew']:.2f} s ({row['selected anew, CPU']:.2f} of CPU) if all parents "
            f"are selected anew, after {row['parents kept']:.2f} s "
            f"({row['parents kept, CPU']:.2f} of CPU) if they are kept  "
            f"(<= {ASKED:g} s: {reached})",
            flush=True,
        )
    if options.json:
        command = f"python -m benchmarks.speed.resume --trials {options.trials}"
        write_rows(options.json, [dict(row) for row in rows], 1, command)


if __name__ == "__main__":
    main()
