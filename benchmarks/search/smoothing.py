"""Do smoothed scores pick better networks than the scores themselves?

    python -m benchmarks.search.smoothing [--of digits] [--rules uniform,fair,near] [--json FILE]

Takes the scores of supernets of the ground truth (`benchmarks.ranking.inherited`), and so many of
its distributions, drawn at random as often as asked; nothing is trained. Scores, smoothed scores
and smoothed losses pick one each, which is judged by the true accuracies
(`benchmarks.ranking.ground_truth`). Prints the three for each number of trials. Smoothed ones pick
as in a search: only if they count (`hnas.studies.trials.smoothing`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import machine
from benchmarks.ranking.ground_truth import complete, read, table
from benchmarks.ranking.inherited import Scored, inherited
from benchmarks.ranking.rules import Truth, truth
from benchmarks.ranking.small_spaces import DIGITS, GROUNDS, Ground
from hnas.cost.flops import cost
from hnas.sampling import RULES
from hnas.studies.experiments.rank_statistics import Numbers, kendall
from hnas.studies.trials.record import Record
from hnas.studies.trials.smoothing import picked, smoothed

TRIALS = (40, 64, 128, 256)
WHAT = ("accuracy", "loss")
COLUMNS = (
    "tau", "tau smoothed", "tau smoothed loss",
    "pick", "pick smoothed", "pick smoothed loss", "best", "r2", "r2 loss",
)  # fmt: skip


def records(ground: Ground, one: Scored, index: Sequence[int]) -> list[Record]:
    """Trials with a supernet's scores, numbered by distribution."""
    archs = [(i, ground.arch_of(ground.distributions[i])) for i in index]
    return [
        Record(
            number=i, generation=0, arch=arch, accuracy=one.accuracy[i], loss=one.loss[i],
            seconds=0.0,
            **vars(cost(ground.frame, arch)),
        )
        for i, arch in archs
    ]  # fmt: skip


def cases(
    of: Truth, trials: int, repeats: int, rules: Sequence[str]
) -> Iterator[tuple[float, ...]]:
    """COLUMNS for every supernet, and every draw of `trials` distributions."""
    ground, known = of.ground, dict(zip(of.index, of.accuracy.mean(axis=0), strict=True))
    for one in (s for s in inherited(ground) if s.way == ground.usual and s.rule in rules):
        rng = np.random.default_rng((one.seed, trials))
        for _ in range(repeats if trials < len(known) else 1):
            found = records(ground, one, rng.permutation(of.index)[:trials].tolist())
            true = np.array([known[record.number] for record in found])
            both = [smooth for what in WHAT if (smooth := smoothed(found, what))]
            raw = np.array([record.accuracy for record in found])
            yield (
                *(kendall(guess, true) for guess in (raw, both[0].scores, -both[1].scores)),
                *(known[picked(found, 1, "flops", by)[0].number] for by in (None, *both)),
                true.max(),
                *(smooth.r2 for smooth in both),
            )


def show(trials: int, rows: Numbers) -> None:
    mean = dict(zip(COLUMNS, rows.mean(axis=0), strict=True))
    print(f"{trials:4} trials, {len(rows):3} cases, the best {mean['best']:.4f}")
    for name in ("", " smoothed", " smoothed loss"):
        gains = rows[:, COLUMNS.index(f"pick{name}")] - rows[:, COLUMNS.index("pick")]
        error = gains.std(ddof=1) / len(gains) ** 0.5
        print(
            f"  {name or ' score':14}  tau-b {mean[f'tau{name}']:.3f}  "
            f"pick {mean[f'pick{name}']:.4f} ({gains.mean():+.4f} +- {error:.4f}), "
            f"better in {np.mean(gains > 0):.0%}, worse in {np.mean(gains < 0):.0%}"
        )


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--of", choices=GROUNDS, default=DIGITS.name, help="[digits]")
    parser.add_argument("--repeats", type=int, default=6, help="draws of each supernet's [6]")
    parser.add_argument("--rules", default=",".join(RULES), help=f"[{','.join(RULES)}]")
    parser.add_argument("--json", type=Path, help="[results/smoothing_NAME.json]")
    options = parser.parse_args()
    ground = GROUNDS[options.of]
    of = truth(ground, complete(ground, read(table(ground))[1]))
    made = {}
    for trials in (t for t in TRIALS if t <= len(of.index)):
        rows = np.array(list(cases(of, trials, options.repeats, options.rules.split(","))))
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
