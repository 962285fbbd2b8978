"""The time until a search that resumes scores its next architecture, with 10,000 trials behind it.

A study is filled with trials of GLiT-Tiny's size (12 parameters in stage 1, 48 in stage 2). The
first search that goes on from it selects the parents of all generations, as every search did before
they were kept; it keeps those of its last generation. The second one is what a user waits for. Each
is timed from opening the storage to the first trial. The scorer takes no time.
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


def first_trial(url: str, space: Space, trials: int) -> float:
    """Seconds from opening the study to the first new one of its `trials`."""
    clock: list[float] = []

    def on_trial(event: TrialEvent) -> None:
        clock.append(time.perf_counter())

    began = time.perf_counter()
    storage = open_storage(url)
    try:
        run_stage(
            open_study(storage, "bench"), space, FakeScorer(frame=FRAME),
            SearchRules(trials=trials, population=POPULATION), costs=COSTS, on_trial=on_trial,
        )  # fmt: skip
    finally:
        close_storage(storage)
    return clock[0] - began


def measured(params: int, space: Space, have: int) -> dict[str, object]:
    """A study of `have` trials: seconds of the first and the second resumption."""
    with tempfile.TemporaryDirectory(prefix="hnas-bench-") as folder:
        url = f"sqlite:///{folder}/study.db"
        storage = open_storage(url, create=True)
        fill(open_study(storage, "bench", create=True), space, have)
        close_storage(storage)
        anew = first_trial(url, space, have + POPULATION)
        kept = first_trial(url, space, have + 2 * POPULATION)
    return {"params": params, "trials": have, "selected anew": anew, "parents kept": kept}


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
        reached = "reached" if float(str(row["parents kept"])) <= ASKED else "MISSED"
        print(
            f"{params} params, {options.trials:,} trials: the first new trial after "
            f"{row['selected anew']:.1f} s if all parents are selected anew, after "
            f"{row['parents kept']:.2f} s if they are kept  (<= {ASKED:g} s: {reached})",
            flush=True,
        )
    if options.json:
        write_rows(options.json, rows, 1, "python -m benchmarks.speed.resume")


if __name__ == "__main__":
    main()
