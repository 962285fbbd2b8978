"""How fast does a search find the best of a small space whose answers are all known?

    python -m benchmarks.search.table_search [--repeats 20] [--json FILE]

The space and its answers are the ground truth (`benchmarks.ranking.ground_truth`): 256
distributions, each trained alone. A search is told the mean accuracy over the seeds, without noise.
Prints the hypervolume (accuracy up, MACs down) per number of scored trials as a share of the true
front's, mean over the repeats, for each way to propose.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import optuna

from benchmarks.common import machine
from benchmarks.ranking.ground_truth import Row, complete, read, table
from benchmarks.ranking.small_spaces import DIGITS, Ground
from hnas.architecture.arch import Arch
from hnas.cost.flops import cost
from hnas.scoring.record import Score
from hnas.studies.objective.costs import Costs
from hnas.studies.proposers.base import Proposer
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.proposers.random_search import RANDOM
from hnas.studies.proposers.spos import SPOS
from hnas.studies.search.stage import SearchRules, run_stage
from hnas.studies.trials.pareto import hypervolume
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import open_study, quiet

PROPOSERS = (NSGA2, SPOS, RANDOM)
TRIALS = (16, 32, 48, 64, 96, 128)
POPULATION = 16


def costs(ground: Ground) -> Costs:
    """Within the cost of the all-global network."""
    return Costs(frame=ground.frame, flops=cost(ground.frame, ground.frame.all_global()).macs)


class TableScorer:
    """A `hnas.studies.scoring.backend.Scorer` that looks up what each network reached when it was
    trained alone.

    `value` is the column it tells, its mean over the rows' seeds.
    """

    def __init__(
        self, rows: Iterable[Row], value: str = "accuracy", ground: Ground = DIGITS
    ) -> None:
        self.ground, self.costs = ground, costs(ground)
        found: dict[Arch, list[Row]] = defaultdict(list)
        for row in rows:
            found[ground.arch_of(row.G)].append(row)
        self.accuracy = {
            arch: float(np.mean([getattr(row, value) for row in those]))
            for arch, those in found.items()
        }
        self.fingerprint = {"scorer": "table", "value": value}

    @classmethod
    def of(cls, accuracy: dict[Arch, float], ground: Ground = DIGITS) -> TableScorer:
        """A scorer that tells these accuracies."""
        made = cls((), ground=ground)
        made.accuracy = accuracy
        return made

    def score(self, archs: Sequence[Arch]) -> Iterator[Score]:
        for arch in archs:
            accuracy = self.accuracy[arch]
            yield Score(accuracy=accuracy, loss=1 - accuracy, images=1, seconds=0.0)


def search(scorer: TableScorer, proposer: Proposer, *, trials: int, seed: int) -> list[Record]:
    """The trials of a stage 1 on the table, in their order."""
    with quiet():
        study = open_study(optuna.storages.InMemoryStorage(), "table", create=True)
    rules = SearchRules(trials=trials, population=POPULATION, seed=seed)
    space, limits = scorer.ground.space, scorer.costs
    result = run_stage(study, space, scorer, rules, costs=limits, proposer=proposer)
    return list(result.records)


def true_hypervolume(scorer: TableScorer) -> float:
    """Of all networks: no search can have more."""
    frame = scorer.ground.frame
    points = [(accuracy, cost(frame, arch).macs) for arch, accuracy in scorer.accuracy.items()]
    return hypervolume(points, scorer.costs.flops)


def shares(scorer: TableScorer, proposer: Proposer, *, seed: int) -> list[float]:
    """Hypervolume after each of TRIALS, as a share of the true front's."""
    found = search(scorer, proposer, trials=TRIALS[-1], seed=seed)
    points = [(record.accuracy, record.macs) for record in found]
    whole = true_hypervolume(scorer)
    return [hypervolume(points[:trials], scorer.costs.flops) / whole for trials in TRIALS]


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--json", type=Path, default=DIGITS.result("table_search", "json"))
    options = parser.parse_args()
    _, rows = read(table(DIGITS))
    scorer = TableScorer(row for row in rows if row.seed in complete(DIGITS, rows))
    found = {
        proposer.name: np.array(
            [shares(scorer, proposer, seed=seed) for seed in range(options.repeats)]
        )
        for proposer in PROPOSERS
    }
    print(f"{'trials':>6}  " + "  ".join(f"{name:>22}" for name in found))
    for i, trials in enumerate(TRIALS):
        cells = (
            f"{v.mean():.4f} ({v.min():.4f}-{v.max():.4f})"
            for v in (f[:, i] for f in found.values())
        )
        print(f"{trials:6}  " + "  ".join(cells))
    about = {
        **machine(1),
        "command": "python -m benchmarks.search.table_search",
        "repeats": options.repeats,
        "population": POPULATION,
        "trials": TRIALS,
        "true hypervolume": true_hypervolume(scorer),
        "shares": {name: values.round(5).tolist() for name, values in found.items()},
    }
    options.json.write_text(json.dumps(about) + "\n")


if __name__ == "__main__":
    main()
