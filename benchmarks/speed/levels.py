"""How many activations scoring keeps at once in a search of the `glit-*` presets' size.

    python -m benchmarks.speed.levels [--quick] [--json FILE]

Both stages of a preset are searched with a fake scorer; of each generation the most levels that
`hnas.scoring.score` keeps for what is still to be scored, beside the M + 1 that there are. A level
is images x T x d numbers of four bytes, for recalibration and held-out images together.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna

from benchmarks.common import write_rows
from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.scoring.record import Score
from hnas.scoring.sharing import branches
from hnas.studies.objective.costs import Costs
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import load_preset
from hnas.studies.search.stage import SearchRules, run_stage
from tests.support.fake_scorer import FakeScorer

PRESETS = ("glit-tiny", "glit-small", "glit-base")
HELD_OUT = 12_800
"""A hundredth of ImageNet."""


@dataclass(frozen=True, kw_only=True)
class Counting:
    """A fake scorer that counts the levels of each generation that it is given."""

    scorer: FakeScorer
    most: list[int]

    @property
    def fingerprint(self) -> dict[str, str]:
        return self.scorer.fingerprint

    def score(self, archs: Sequence[Arch]) -> Iterator[Score]:
        self.most.append(max(map(len, branches(archs)), default=0))
        return self.scorer.score(archs)


def most_levels(plan: Plan, space: Space, trials: int) -> list[int]:
    """By generation."""
    scorer = Counting(scorer=FakeScorer(frame=plan.net), most=[])
    study = optuna.create_study(directions=["maximize", "minimize"])
    rules = SearchRules(trials=trials, population=plan.stage1.population, seed=plan.search.seed)
    run_stage(study, space, scorer, rules, costs=Costs(frame=plan.net, flops=plan.budget()))
    return scorer.most


def measure(quick: bool) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name in PRESETS[:1] if quick else PRESETS:
        plan = load_preset(name)
        net = plan.net
        gigabytes = (plan.score.recalibration + HELD_OUT) * net.T * net.d * 4 / 1e9
        for stage, space, trials in (
            ("stage 1", plan.space1(), plan.stage1.trials),
            ("stage 2", plan.space2(), plan.stage2.trials),
        ):
            found = most_levels(plan, space, 100 if quick else trials)
            rows.append(
                {
                    "name": f"{name}, {stage}",
                    "most levels by generation": found,
                    "levels": net.M + 1,
                    "gigabytes a level": round(gigabytes, 2),
                }
            )
            print(
                f"{name}, {stage}: {min(found)} to {max(found)} of {net.M + 1} levels, "
                f"{min(found) * gigabytes:.0f} to {max(found) * gigabytes:.0f} GB "
                f"instead of {(net.M + 1) * gigabytes:.0f}",
                flush=True,
            )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few trials: does it run at all?")
    parser.add_argument("--threads", type=int, default=1, help="nothing here takes more than one")
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = measure(options.quick)
    if options.json:
        write_rows(options.json, rows, options.threads, "python -m benchmarks.speed.levels")


if __name__ == "__main__":
    main()
