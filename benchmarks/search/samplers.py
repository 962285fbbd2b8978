"""Which sampler finds most when scores are noisy, as inherited ones are?

    python -m benchmarks.search.samplers [--samplers nsga2,tpe] [--repeats 10] [--json FILE]

Searches the distributions of the ground truth (`benchmarks.ranking.ground_truth`) by the scores
that three supernets of the uniform rule gave them (`benchmarks.ranking.inherited`); nothing is
trained. What a search found is judged by the true accuracies: the hypervolume (accuracy up, MACs
down) of all its trials as a share of the true front's (`found`), that of its front by score alone
(`front`), and the accuracy of its best by score (`pick`). Prints the mean per number of trials.
`NAME+` is a sampler whose first generation holds the ends of the space.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.common import machine
from benchmarks.ranking.ground_truth import complete, read, table
from benchmarks.ranking.inherited import inherited
from benchmarks.ranking.small_spaces import DIGITS
from benchmarks.search.table_search import BUDGET, COSTS, TRIALS, TableScorer, search
from hnas.architecture.arch import Arch
from hnas.studies.proposers.base import Proposer, corners, starting_from
from hnas.studies.proposers.samplers import SAMPLERS, sampler
from hnas.studies.trials.pareto import best_by_score, front, hypervolume
from hnas.studies.trials.record import Record

MEASURES = ("found", "front", "pick")


def proposer_of(name: str) -> Proposer:
    """`NAME`, or `NAME+` with the ends of the space first."""
    if not name.endswith("+"):
        return sampler(name)
    return starting_from(corners(DIGITS.space, COSTS), sampler(name[:-1]))


def judged(records: Sequence[Record], truth: dict[Arch, float]) -> tuple[float, float, float]:
    """MEASURES of some trials; hypervolumes are not yet shares."""

    def volume(some: Sequence[Record]) -> float:
        return hypervolume([(truth[record.arch], record.macs) for record in some], BUDGET)

    return volume(records), volume(front(records)), truth[best_by_score(records, 1)[0].arch]


def measure(
    name: str, scores: Sequence[TableScorer], truth: dict[Arch, float], repeats: int
) -> list[list[tuple[float, float, float]]]:
    """A row a search (every table of scores from every seed), in it MEASURES after each of
    TRIALS."""
    rows = []
    for scorer in scores:
        for seed in range(repeats):
            found = search(scorer, proposer_of(name), trials=TRIALS[-1], seed=seed)
            rows.append([judged(found[:trials], truth) for trials in TRIALS])
    return rows


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ",".join(f"{name}{plus}" for name in SAMPLERS if name != "gp" for plus in ("", "+"))
    parser.add_argument("--samplers", default=names, help=f"[{names}]")
    parser.add_argument("--repeats", type=int, default=10, help="of each supernet's scores [10]")
    parser.add_argument("--json", type=Path, default=DIGITS.result("samplers", "json"))
    options = parser.parse_args()
    _, rows = read(table(DIGITS))
    truth = TableScorer(row for row in rows if row.seed in complete(DIGITS, rows)).accuracy
    scores = [
        TableScorer.of(
            dict(zip(map(DIGITS.arch_of, DIGITS.distributions), one.accuracy, strict=True))
        )
        for one in inherited(DIGITS)
        if (one.rule, one.way) == ("uniform", DIGITS.usual)
    ]
    whole = hypervolume(
        [(truth[r.arch], r.macs) for r in search(scores[0], sampler("random"), trials=256, seed=0)],
        BUDGET,
    )
    made = {}
    for name in options.samplers.split(","):
        found = np.array(measure(name, scores, truth, options.repeats)) / (whole, whole, 1)
        made[name] = found.round(5).tolist()
        mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(len(found))
        for k, what in enumerate(MEASURES):
            cells = (f"{m:.4f} +- {e:.4f}" for m, e in zip(mean[:, k], error[:, k], strict=True))
            print(f"{name:8} {what:6}", "  ".join(cells), flush=True)
    about = {
        **machine(1),
        "command": "python -m benchmarks.search.samplers",
        "repeats": options.repeats,
        "trials": TRIALS,
        "measures": MEASURES,
        "searches": made,
    }
    options.json.write_text(json.dumps(about) + "\n")


if __name__ == "__main__":
    main()
