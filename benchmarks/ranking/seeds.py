"""Do searches of other seeds score the same networks alike?

    python -m benchmarks.ranking.seeds RUN RUN ... [--json FILE]

Takes the stage 1 of finished searches that differ in nothing but the seed: each has a supernet of
its own. A ridge regression of a run's scores on its distributions (one column for each value of a
block) predicts the scores of another run's trials. Prints how well that ranks them (tau-b), and how
well the run predicts scores of its own that it has not seen (R2). Nothing is trained.

If runs predict themselves and not each other, scores show what a supernet likes, by chance, not
which network is better.
"""

from __future__ import annotations

import argparse
import json
from itertools import permutations
from pathlib import Path
from statistics import mean

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict

from benchmarks.common import machine
from hnas.architecture.arch import Arch
from hnas.studies.experiments.rank_statistics import Numbers, kendall
from hnas.studies.run.folder import open_run
from hnas.studies.run.studies import read_stages
from hnas.studies.trials.record import Record

PENALTIES = np.logspace(-2, 4, 25)
SCORES = {"accuracy": lambda trial: trial.accuracy, "loss": lambda trial: -trial.loss}
"""Higher is better."""


def one_hot(arch: Arch, N: int) -> list[bool]:
    return [block.G == G for block in arch.blocks for G in range(N + 1)]


def r2(x: Numbers, y: Numbers) -> float:
    """Of scores that are predicted from those of other folds."""
    folds = KFold(10, shuffle=True, random_state=0)
    found = cross_val_predict(RidgeCV(PENALTIES), x, y, cv=folds)
    return float(1 - ((y - found) ** 2).sum() / ((y - y.mean()) ** 2).sum())


def compared(runs: dict[str, list[Record]], N: int) -> list[dict[str, object]]:
    """A row for each kind of score: how well runs predict themselves, and each other."""
    rows: list[dict[str, object]] = []
    for name, score in SCORES.items():
        x = {run: np.array([one_hot(t.arch, N) for t in found]) for run, found in runs.items()}
        y = {run: np.array([score(t) for t in found]) for run, found in runs.items()}
        taus = [
            round(kendall(RidgeCV(PENALTIES).fit(x[a], y[a]).predict(x[b]), y[b]), 3)
            for a, b in permutations(runs, 2)
        ]
        own = [round(r2(x[run], y[run]), 2) for run in runs]
        rows.append(
            {"score": name, "own R2": own, "tau of others": taus, "mean tau": round(mean(taus), 3)}
        )
    return rows


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    opened = {path.name: open_run(path) for path in args.runs}
    N = next(iter(opened.values())).plan.net.N
    rows = compared({name: list(read_stages(run)[0].records) for name, run in opened.items()}, N)
    for row in rows:
        print("  ".join(f"{name}: {value}" for name, value in row.items()))
    if args.json:
        report = {"machine": machine(1), "runs": list(opened), "rows": rows}
        args.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
