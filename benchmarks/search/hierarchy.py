"""What does searching in two stages cost, against the whole space at once? And what does a third
stage win back?

    python -m benchmarks.search.hierarchy [--supernets 3] [--repeats 10]

The space: M = 2 blocks of the digits preset, its distributions and two candidates of every size,
1,936 architectures. One supernet of all of them scores every one, exhaustively, on the images that
a search may score on and, for judging, on others (`benchmarks.ranking.ground_truth`'s). Searches
then look scores up, within the all-global network's FLOPs, with equal numbers of trials:

joint         NSGA-II on everything
hierarchical  distributions at fixed sizes, then the sizes of the best one
refined       as `hnas search --refine`: half of stage 2's trials go to a third stage, NSGA-II on
              everything from stage 2's front, which is scored anew

Prints what each one's pick loses against the joint best: in score, and on the other images.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from optuna.storages import InMemoryStorage

from benchmarks.common import machine
from benchmarks.ranking.small_spaces import DIGITS
from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, Space, distribution_space, size_space
from hnas.cost.flops import cost
from hnas.network.supernet import Supernet
from hnas.scoring.record import Score
from hnas.scoring.score import scores
from hnas.settings import AugmentRules, ScoreRules, TrainingRules
from hnas.studies.objective.costs import Costs
from hnas.studies.proposers.base import starting_from
from hnas.studies.proposers.nsga2 import NSGA2
from hnas.studies.search.stage import SearchRules, run_stage
from hnas.studies.trials.pareto import best_by_score, front
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import open_study, quiet
from hnas.training.supernet import train_supernet

REPORT = DIGITS.result("hierarchy", "json")
FRAME: Frame = replace(DIGITS.frame, M=2)
FIXED = {"d_k": 48, "d_z": 4, "E": 1, "K": 17}
CANDIDATES = {"d_k": (24, 48), "d_z": (2, 4), "E": (1, 2), "K": (5, 17)}
JOINT: Space = size_space(FRAME, None, **CANDIDATES)
FIRST: Space = distribution_space(FRAME, **FIXED)
BUDGET = cost(FRAME, FRAME.all_global()).macs
COSTS = Costs(frame=FRAME, flops=BUDGET)
TRAINING: TrainingRules = replace(DIGITS.supernet, epochs=250)
"""The epochs that the preset's two stages have together."""
POPULATION = 16
TRIALS = (64, 128, 256)

Scores = Mapping[Arch, float]


def everything() -> list[Arch]:
    """All architectures within the budget, in order."""
    archs = (Arch(blocks) for blocks in itertools.product(*JOINT.choices))
    return [arch for arch in archs if COSTS.allow(arch)]


def scored(seed: int) -> tuple[Scores, Scores]:
    """By one supernet: on the images that a search scores on, and on those that judge."""
    data, kept = DIGITS.images
    weights, order = np.random.SeedSequence((seed, 2)).generate_state(2).tolist()
    net = Supernet(JOINT).reset(weights)
    train_supernet(net, data, TRAINING, AugmentRules(), seed=order)
    archs = everything()
    found = []
    for held_out in (data.held_out, kept):
        on = scores(net, archs, replace(data, held_out=held_out), ScoreRules(batch=1024))
        found.append({arch: one.accuracy for arch, one in zip(archs, on, strict=True)})
    return found[0], found[1]


@dataclass(frozen=True)
class Known:
    """A `hnas.studies.scoring.backend.Scorer` that looks scores up."""

    accuracy: Scores

    @property
    def fingerprint(self) -> dict[str, str]:
        return {"scorer": "known"}

    def score(self, archs: Sequence[Arch]) -> Iterator[Score]:
        for arch in archs:
            accuracy = self.accuracy[arch]
            yield Score(accuracy=accuracy, loss=1 - accuracy, images=1, seconds=0.0)


def evolve(
    space: Space, score: Scores, *, trials: int, seed: int, start: Sequence[Arch] = ()
) -> list[Record]:
    """A stage of a search, by looking up."""
    with quiet():
        study = open_study(InMemoryStorage(), "stage", create=True)
    rules = SearchRules(trials=trials, population=POPULATION, seed=seed)
    proposer = starting_from(start, NSGA2)
    found = run_stage(study, space, Known(score), rules, costs=COSTS, proposer=proposer)
    return list(found.records)


def hierarchical(score: Scores, *, trials: int, seed: int, refine: bool = False) -> list[Record]:
    """Stage 1 with half of the trials at most, stage 2 with what is left; half of that goes to the
    third stage, where there is one."""
    first = evolve(FIRST, score, trials=trials // 2, seed=seed)
    (best,) = best_by_score(first, 1)
    left = trials - len(first)
    of_third = left // 2 if refine else 0
    sizes = size_space(FRAME, best.arch, **CANDIDATES)
    second = evolve(sizes, score, trials=left - of_third, seed=seed)
    found = [*first, *second]
    if refine:
        start = [record.arch for record in front(second)]
        found += evolve(JOINT, score, trials=trials - len(found), seed=seed, start=start)
    return found


def joint(score: Scores, *, trials: int, seed: int) -> list[Record]:
    return evolve(JOINT, score, trials=trials, seed=seed)


WAYS = {
    "joint": joint,
    "hierarchical": hierarchical,
    "refined": partial(hierarchical, refine=True),
}


def lost(score: Scores, judge: Scores, found: Sequence[Record]) -> tuple[float, float]:
    """What the pick is below the pick of an exhaustive joint search: by score, by the judge."""
    best = min(score, key=lambda arch: (-score[arch], cost(FRAME, arch).macs, arch.key))
    (pick,) = best_by_score(found, 1)
    return score[best] - score[pick.arch], judge[best] - judge[pick.arch]


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--supernets", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=10, help="searches of each")
    options = parser.parse_args()
    torch.set_num_threads(1)
    tables = [scored(seed) for seed in range(options.supernets)]
    rows = []
    # Enough for stage 1 and then stage 2 to see everything: what only the hierarchy costs.
    for trials in (*TRIALS, 2 * len(tables[0][0])):
        for way, searched in WAYS.items():
            if trials > TRIALS[-1] and way != "hierarchical":
                continue
            found = np.array(
                [
                    [
                        lost(score, judge, searched(score, trials=trials, seed=seed))
                        for seed in range(options.repeats if trials <= TRIALS[-1] else 1)
                    ]
                    for score, judge in tables
                ]
            )
            by_supernet = found.mean(axis=1)
            rows.append(
                {
                    "trials": trials,
                    "way": way,
                    "score": by_supernet[:, 0].tolist(),
                    "other images": by_supernet[:, 1].tolist(),
                }
            )
            print(
                f"{trials:5} trials  {way:13} loses in score {by_supernet[:, 0].mean():7.4f} "
                f"{by_supernet[:, 0].round(4).tolist()}, on other images "
                f"{by_supernet[:, 1].mean():7.4f} {by_supernet[:, 1].round(4).tolist()}",
                flush=True,
            )
    made = {
        **machine(1),
        "command": f"python -m benchmarks.search.hierarchy --supernets {options.supernets} "
        f"--repeats {options.repeats}",
        "architectures": len(tables[0][0]),
        "rows": rows,
    }
    REPORT.write_text(json.dumps(made, indent=1) + "\n")


if __name__ == "__main__":
    main()
