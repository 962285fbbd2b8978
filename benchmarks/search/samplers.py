"""Which sampler finds most when scores are noisy, as inherited ones are?

    python -m benchmarks.search.samplers [--of digits] [--samplers nsga2,tpe] [--repeats 10]

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
from benchmarks.ranking.small_spaces import DIGITS, GROUNDS
from benchmarks.search.table_search import TRIALS, TableScorer, search, true_hypervolume
from hnas.studies.proposers.base import Proposer, corners, starting_from
from hnas.studies.proposers.samplers import SAMPLERS, sampler
from hnas.studies.trials.pareto import best_by_score, front, hypervolume
from hnas.studies.trials.record import Record

MEASURES = ("found", "front", "pick")


def proposer_of(name: str, scorer: TableScorer) -> Proposer:
    """`NAME`, or `NAME+` with the ends of the space first."""
    if not name.endswith("+"):
        return sampler(name)
    return starting_from(corners(scorer.ground.space, scorer.costs), sampler(name[:-1]))


def judged(records: Sequence[Record], truth: TableScorer) -> tuple[float, float, float]:
    """MEASURES of some trials; hypervolumes are not yet shares."""
    known, limit = truth.accuracy, truth.costs.flops

    def volume(some: Sequence[Record]) -> float:
        return hypervolume([(known[record.arch], record.macs) for record in some], limit)

    return volume(records), volume(front(records)), known[best_by_score(records, 1)[0].arch]


def measure(
    name: str,
    scores: Sequence[TableScorer],
    truth: TableScorer,
    repeats: int,
    trials: Sequence[int],
) -> list[list[tuple[float, float, float]]]:
    """A row a search (every table of scores from every seed), in it MEASURES after each of
    `trials`."""
    rows = []
    for scorer in scores:
        for seed in range(repeats):
            found = search(scorer, proposer_of(name, scorer), trials=trials[-1], seed=seed)
            rows.append([judged(found[:many], truth) for many in trials])
    return rows


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ",".join(f"{name}{plus}" for name in SAMPLERS if name != "gp" for plus in ("", "+"))
    parser.add_argument("--samplers", default=names, help=f"[{names}]")
    parser.add_argument("--repeats", type=int, default=10, help="of each supernet's scores [10]")
    parser.add_argument("--of", choices=GROUNDS, default=DIGITS.name, help="[digits]")
    parser.add_argument("--json", type=Path, help="[results/samplers_NAME.json]")
    options = parser.parse_args()
    ground = GROUNDS[options.of]
    _, rows = read(table(ground))
    seeds = complete(ground, rows)
    truth = TableScorer((row for row in rows if row.seed in seeds), ground=ground)
    archs = [ground.arch_of(G) for G in ground.distributions]
    scores = [
        TableScorer.of(dict(zip(archs, one.accuracy, strict=True)), ground)
        for one in inherited(ground)
        if (one.rule, one.way) == ("uniform", ground.usual)
    ]
    trials = [many for many in TRIALS if many <= len(archs) * 3 / 4]
    whole = true_hypervolume(truth)
    made = {}
    for name in options.samplers.split(","):
        found = np.array(measure(name, scores, truth, options.repeats, trials)) / (whole, whole, 1)
        made[name] = found.round(5).tolist()
        mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(len(found))
        for k, what in enumerate(MEASURES):
            cells = (f"{m:.4f} +- {e:.4f}" for m, e in zip(mean[:, k], error[:, k], strict=True))
            print(f"{name:8} {what:6}", "  ".join(cells), flush=True)
    for name, found in made.items() if "random" in made else ():
        more = (np.array(found) - np.array(made["random"]))[:, :, MEASURES.index("pick")]
        mean, error = more.mean(axis=0), more.std(axis=0, ddof=1) / np.sqrt(len(more))
        cells = (
            f"{m:+.4f} ({m - 1.96 * e:+.4f} to {m + 1.96 * e:+.4f})"
            for m, e in zip(mean, error, strict=True)
        )
        print(f"{name:8} pick less random's", "  ".join(cells))
    about = {
        **machine(1),
        "command": f"python -m benchmarks.search.samplers --of {ground.name}",
        "repeats": options.repeats,
        "trials": trials,
        "measures": MEASURES,
        "searches": made,
    }
    path = options.json or ground.result("samplers", "json")
    path.write_text(json.dumps(about) + "\n")


if __name__ == "__main__":
    main()
