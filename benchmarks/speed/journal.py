"""Optuna's journal on a shared folder as a queue of trials: why hnas takes none for its workers.

    python -m benchmarks.speed.journal [--trials 500]

Trials of GLiT-Tiny's stage 1 (12 parameters). What it costs in CPU time to store one, to read one
by a process that joins, and to take and finish one; its bytes; and what a kill in the middle of an
append leaves.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from datetime import datetime
from pathlib import Path

import numpy as np
import optuna
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

from benchmarks.speed.search_overhead import COSTS, FRAME, spaces
from hnas.cost.flops import cost
from hnas.studies.trials.record import Record
from hnas.studies.trials.trial import finished_trial

ASKS = 20


def opened(path: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(path)))


def filled(path: Path, trials: int) -> float:
    """CPU milliseconds to store one trial."""
    study = optuna.create_study(
        storage=opened(path), study_name="s", directions=["maximize", "minimize"]
    )
    space, rng, now = spaces()[12], np.random.default_rng(0), datetime.now()
    spent = 0.0
    for i in range(trials):
        arch = space.sample(rng)
        its = cost(FRAME, arch)
        record = Record(
            number=i, generation=i // 50, arch=arch, accuracy=0.5, loss=1.0, macs=its.macs,
            params=its.params, seconds=0.05,
        )  # fmt: skip
        trial = finished_trial(space, record, costs=COSTS, started=now, completed=now)
        began = time.process_time()
        study.add_trial(trial)
        spent += time.process_time() - began
    return 1000 * spent / trials


def joined(path: Path) -> float:
    """CPU milliseconds a trial of reading all, as each process does that joins."""
    began = time.process_time()
    read = len(opened(path).get_all_trials(0, deepcopy=False))
    return 1000 * (time.process_time() - began) / read


def asked(path: Path) -> float:
    """CPU milliseconds to take and to finish a trial that waits, six attributes with it."""
    study = optuna.load_study(storage=opened(path), study_name="s")
    for _ in range(ASKS):
        study.enqueue_trial({})
    began = time.process_time()
    for _ in range(ASKS):
        trial = study.ask()
        for i in range(6):
            trial.set_user_attr(str(i), 0.5)
        study.tell(trial, [0.5, 1.0])
    return 1000 * (time.process_time() - began) / ASKS


def after_a_kill(path: Path) -> str:
    """What the study says after half a line was appended, and another process went on."""
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) - 20])
    try:
        for i in range(2):
            opened(path).set_study_user_attr(0, "next", i)
        left = len(opened(path).get_all_trials(0))
    except ValueError as error:
        return f"{type(error).__name__}: {error}"
    return f"{left} trials are read"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=500)
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="hnas-bench-") as folder:
        path = Path(folder, "journal")
        stored = filled(path, options.trials)
        size = path.stat().st_size / options.trials
        read = joined(path)
        print(
            f"{options.trials} trials: {stored:.2f} ms of CPU to store one, {size / 1000:.1f} kB; "
            f"{read:.2f} ms to read one, {read * 10:.0f} s for each process that joins a study "
            f"of 10,000; {asked(path):.1f} ms to take and finish one",
            flush=True,
        )
        kinds = (RDBStorage, JournalStorage)
        beats = (f"{kind.__name__} {hasattr(kind, 'record_heartbeat')}" for kind in kinds)
        print(f"signs of life of workers: {', '.join(beats)}")
        print(f"a kill in the middle of an append: {after_a_kill(path)}")


if __name__ == "__main__":
    main()
