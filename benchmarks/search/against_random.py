"""Does NSGA-II find more than random sampling? Hypervolume per generation, at equal trials.

    python -m benchmarks.search.against_random runs/digits [--stage 2] [--repeats 5] [--json FILE]

Takes a finished stage of a run and scores as many random architectures within the same limits with
the same supernet, images and recalibration. Prints a row a generation: the hypervolume of the
run's study, and mean, lowest and highest of the random searches.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import statistics
from datetime import date
from itertools import accumulate
from pathlib import Path

import numpy as np

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.device import choose, describe
from hnas.studies.objective.costs import Costs, minimised
from hnas.studies.run.folder import open_run
from hnas.studies.scoring.supernet_scorer import SupernetScorer
from hnas.studies.search.session import Session
from hnas.studies.search.supernets import supernet
from hnas.studies.trials.conditions import scorer_of
from hnas.studies.trials.pareto import hypervolume
from hnas.studies.trials.trial import records

Point = tuple[float, int]


def random_archs(space: Space, costs: Costs, count: int, seed: int) -> list[Arch]:
    """Distinct, uniform within the limits; only where that finds too few, drawn towards it."""
    rng = np.random.default_rng(seed)
    found: dict[Arch, None] = {}
    for _ in range(100 * count):
        arch = space.sample(rng)
        if costs.allow(arch):
            found[arch] = None
        if len(found) == count:
            break
    while len(found) < min(count, space.distinct):
        found[costs.sample(space, rng)] = None
    return list(found)


def curve(points: list[Point], generation: int, bounds: tuple[int, ...]) -> list[float]:
    """Hypervolume after each full generation, and after the last trial."""
    ends = [*range(generation, len(points), generation), len(points)]
    prefixes = list(accumulate(([p] for p in points), lambda a, b: a + b))
    return [hypervolume(prefixes[end - 1], *bounds) for end in ends]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--stage", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()

    run = open_run(options.run)
    device = choose(options.device)
    with contextlib.closing(Session(run, device)) as session:
        found = records(session.study(options.stage))
        net = supernet(session, options.stage)
        scorer = SupernetScorer(net, session.data, run.plan.score)
        if scorer.fingerprint != scorer_of(session.study(options.stage)):
            raise SystemExit("the run's supernet is not the one that its study was scored with")
    population, costs = run.stage(options.stage).population, session.costs
    searched = curve([costs.point(r) for r in found], population, costs.bounds)
    drawn = []
    for seed in range(options.repeats):
        archs = sorted(random_archs(net.space, costs, len(found), seed), key=lambda a: a.key)
        scored = dict(zip(archs, scorer.score(archs), strict=True))
        # In the order in which they were drawn, not in that of scoring.
        order = random_archs(net.space, costs, len(found), seed)
        points = [(scored[a].accuracy, *minimised(costs.spent(a), costs.objective)) for a in order]
        drawn.append(curve(points, population, costs.bounds))

    print(f"stage {options.stage} of {run.folder}: {len(found)} trials, {costs.words()}")
    print(f"{'trials':>6}  {'NSGA-II':>8}  {'random':>8}  {'lowest':>8}  {'highest':>8}")
    rows = []
    for i, value in enumerate(searched):
        others = [repeat[i] for repeat in drawn]
        trials = min((i + 1) * population, len(found))
        rows.append([trials, value, statistics.mean(others), min(others), max(others)])
        print(f"{trials:6}  " + "  ".join(f"{number:8.4f}" for number in rows[-1][1:]))
    if options.json:
        about = {
            "date": date.today().isoformat(),
            "machine": platform.processor() or platform.machine(),
            "environment": describe(device),
            "columns": ["trials", "nsga2", "random_mean", "random_lowest", "random_highest"],
            "rows": rows,
        }
        options.json.write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    main()
