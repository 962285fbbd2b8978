"""Do smoothed scores pick better networks than the scores themselves?

    python -m benchmarks.search.smoothing [--of digits] [--repeats 6] [--json FILE]

Takes the scores of all supernets of the ground truth (`benchmarks.ranking.inherited`), and so many
of its distributions, drawn at random as often as asked; nothing is trained. Both kinds of scores
pick one, which is judged by the true accuracies (`benchmarks.ranking.ground_truth`). Prints a row
for each number of trials. A smoothed score picks as in a search: only if it counts
(`hnas.studies.trials.smoothing`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import machine
from benchmarks.ranking.ground_truth import complete, read, table
from benchmarks.ranking.inherited import inherited
from benchmarks.ranking.rules import Truth, truth
from benchmarks.ranking.small_spaces import DIGITS, GROUNDS, Ground
from hnas.cost.flops import cost
from hnas.studies.experiments.rank_statistics import Numbers, kendall
from hnas.studies.trials.record import Record
from hnas.studies.trials.smoothing import picked, smoothed

TRIALS = (40, 64, 128, 256)
COLUMNS = ("r2", "tau", "tau smoothed", "pick", "pick smoothed", "best")


def records(ground: Ground, accuracy: Sequence[float], index: Sequence[int]) -> list[Record]:
    """Trials with these scores, numbered by distribution."""
    archs = [(i, ground.arch_of(ground.distributions[i])) for i in index]
    return [
        Record(
            number=i, generation=0, arch=arch, accuracy=accuracy[i], loss=0.0, seconds=0.0,
            **vars(cost(ground.frame, arch)),
        )
        for i, arch in archs
    ]  # fmt: skip


def cases(of: Truth, trials: int, repeats: int) -> Iterator[tuple[float, ...]]:
    """COLUMNS for every supernet, and every draw of `trials` distributions."""
    ground, known = of.ground, dict(zip(of.index, of.accuracy.mean(axis=0), strict=True))
    for one in (one for one in inherited(ground) if one.way == ground.usual):
        rng = np.random.default_rng((one.seed, trials))
        for _ in range(repeats if trials < len(known) else 1):
            found = records(ground, one.accuracy, rng.permutation(of.index)[:trials].tolist())
            true = np.array([known[record.number] for record in found])
            smooth = smoothed(found)
            assert smooth is not None
            raw = np.array([record.accuracy for record in found])
            yield (
                smooth.r2,
                kendall(raw, true),
                kendall(smooth.scores, true),
                *(known[picked(found, 1, "flops", by)[0].number] for by in (None, smooth)),
                true.max(),
            )


def show(trials: int, rows: Numbers) -> None:
    r2, tau, smooth, pick, mine, best = rows.mean(axis=0)
    gains = rows[:, 4] - rows[:, 3]
    print(
        f"{trials:4} trials, {len(rows):3} cases: R2 {r2:.2f}  tau-b {tau:.3f} -> {smooth:.3f}  "
        f"pick {pick:.4f} -> {mine:.4f}, better in {np.mean(gains > 0):.0%}, worse in "
        f"{np.mean(gains < 0):.0%}  (the best: {best:.4f})"
    )


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--of", choices=GROUNDS, default=DIGITS.name, help="[digits]")
    parser.add_argument("--repeats", type=int, default=6, help="draws of each supernet's [6]")
    parser.add_argument("--json", type=Path, help="[results/smoothing_NAME.json]")
    options = parser.parse_args()
    ground = GROUNDS[options.of]
    of = truth(ground, complete(ground, read(table(ground))[1]))
    made = {}
    for trials in (t for t in TRIALS if t <= len(of.index)):
        rows = np.array(list(cases(of, trials, options.repeats)))
        made[trials] = rows.round(5).tolist()
        show(trials, rows)
    about = {
        **machine(1),
        "command": f"python -m benchmarks.search.smoothing --of {ground.name}",
        "columns": COLUMNS,
        "cases": made,
    }
    path = options.json or ground.result("smoothing", "json")
    path.write_text(json.dumps(about) + "\n")


if __name__ == "__main__":
    main()
