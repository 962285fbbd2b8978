"""Does a supernet rank as training alone does? Every rule of subnets, against the ground truth.

    python -m benchmarks.ranking.rules [--of digits] [--rules uniform,fair] [--supernets 3]
    python -m benchmarks.ranking.rules --rules "uniform,uniform x2"

What is missing of `benchmarks.ranking.inherited` is trained and scored first. Then every supernet's
scores are compared with the table of `benchmarks.ranking.ground_truth`, beside what one training
alone says; the first rule's also where they were scored in other ways: fewer images, or by loss.
Prints the tables of docs/ranking.md, writes results/ranking_NAME.json and docs/ranking-NAME.svg.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.common import machine
from benchmarks.ranking.ground_truth import complete, read, table
from benchmarks.ranking.inherited import Scored, collect
from benchmarks.ranking.small_spaces import DIGITS, GROUNDS, RESULTS, Ground
from hnas.cost.flops import cost
from hnas.sampling import RULES
from hnas.studies.experiments.rank_statistics import (
    Numbers,
    agreement,
    estimate,
    kendall,
)
from hnas.studies.figures.style import COLOURS, MARKERS, panels, save
from hnas.studies.run.interval import Interval
from hnas.studies.run.ranking import Agreement

DOCS = RESULTS.parents[1] / "docs"


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The table as arrays: seeds in rows, distributions in columns."""

    ground: Ground
    index: tuple[int, ...]
    """Which of `ground.distributions` the columns are."""
    seeds: tuple[int, ...]
    accuracy: Numbers
    """On the table's own images."""
    score_accuracy: Numbers
    """On the images that a search scores on."""


def truth(ground: Ground, seeds: Sequence[int]) -> Truth:
    """Of the distributions that have been trained from all of these seeds."""
    found = {(row.seed, row.G): row for row in read(table(ground))[1]}
    everything = ground.distributions
    index = tuple(i for i, G in enumerate(everything) if all((seed, G) in found for seed in seeds))
    rows = [[found[seed, everything[i]] for i in index] for seed in seeds]
    return Truth(
        ground=ground,
        index=index,
        seeds=tuple(seeds),
        accuracy=np.array([[row.accuracy for row in line] for line in rows]),
        score_accuracy=np.array([[row.score_accuracy for row in line] for line in rows]),
    )


def pick(ground: Ground, guess: Sequence[float], index: Sequence[int] | None = None) -> int:
    """What a search takes: the highest score; of equal ones the cheaper, then the earlier. `index`
    says which of `ground.distributions` the scores are of, all by default."""
    everything = ground.distributions
    named = [everything[i] for i in index or range(len(everything))]
    macs = [cost(ground.frame, ground.arch_of(G)).macs for G in named]
    return min(range(len(guess)), key=lambda i: (-guess[i], macs[i], i))


def mean_tau(guesses: Iterable[Sequence[float]], of: Truth) -> Interval:
    """tau-b with the mean accuracy, averaged over supernets; resampled are the architectures."""
    columns = [np.array(guess)[list(of.index)] for guess in guesses]
    mean = of.accuracy.mean(axis=0)
    return estimate(
        lambda i: float(np.mean([kendall(one[i], mean[i]) for one in columns])), len(mean)
    )


def mean_difference(guesses: Sequence[Scored], others: Sequence[Scored], of: Truth) -> Interval:
    """tau-b of one rule's scores less another's, averaged over supernets."""
    pairs = [
        (np.array(a.accuracy)[list(of.index)], np.array(b.accuracy)[list(of.index)])
        for a, b in zip(guesses, others, strict=True)
    ]
    mean = of.accuracy.mean(axis=0)
    return estimate(
        lambda i: float(
            np.mean([kendall(a[i], mean[i]) - kendall(b[i], mean[i]) for a, b in pairs])
        ),
        len(mean),
    )


def judged(one: Scored, of: Truth) -> Agreement:
    """One supernet's scores."""
    columns = list(of.index)
    guess = np.array(one.accuracy)[columns]
    taken = pick(of.ground, one.accuracy)
    return agreement(
        guess,
        of.accuracy,
        pick=columns.index(taken) if taken in columns else int(guess.argmax()),
        guesses=of.score_accuracy,
    )


def compare_rules(
    found: Sequence[Scored], rules: Sequence[str], all_seeds: Truth, most: Truth
) -> dict[str, Any]:
    """For each rule its taus: over everything, and beside the reference where there are four
    seeds."""
    usual = [one for one in found if one.way == most.ground.usual]
    by_rule = {rule: [one for one in usual if one.rule == rule] for rule in rules}
    first = by_rule[rules[0]]
    return {
        rule: {
            "tau": asdict(mean_tau((one.accuracy for one in those), most)),
            "tau of the mean score": asdict(
                mean_tau([np.mean([one.accuracy for one in those], axis=0).tolist()], most)
            ),
            "better, top five retrained": [retrained_better(one, most) for one in those],
            "less the first": asdict(mean_difference(those, first, most)),
            "supernets": [
                {
                    "seed": one.seed,
                    "pick": "".join(
                        map(str, most.ground.distributions[pick(most.ground, one.accuracy)])
                    ),
                    "over all": asdict(judged(one, most)),
                    "beside the reference": asdict(judged(one, all_seeds)),
                }
                for one in those
            ],
        }
        for rule, those in by_rule.items()
    }


def one_training(of: Truth) -> dict[str, Any]:
    """What a search would pick by one training of each, judged by the other seeds: the mean over
    the one, and its picks."""
    picks, better = [], []
    for s in range(len(of.seeds)):
        others = np.delete(of.accuracy, s, axis=0).mean(axis=0)
        taken = pick(of.ground, [float(one) for one in of.score_accuracy[s]], of.index)
        picks.append("".join(map(str, of.ground.distributions[of.index[taken]])))
        better.append(float(np.mean(others > others[taken])))
    return {"picks": picks, "better": better}


def retrained_better(one: Scored, of: Truth, top: int = 5) -> float:
    """Where the best `top` by score are trained and the best of those is taken (the hand-off's rule
    `retrained`): the share of distributions that are better by the other seeds, averaged over the
    seed that they are trained from."""
    guess = np.array(one.accuracy)[list(of.index)]
    best = np.argsort(-guess, kind="stable")[:top]
    better = []
    for s in range(len(of.seeds)):
        others = np.delete(of.accuracy, s, axis=0).mean(axis=0)
        taken = best[of.score_accuracy[s, best].argmax()]
        better.append(float(np.mean(others > others[taken])))
    return float(np.mean(better))


def compare_ways(found: Sequence[Scored], rule: str, most: Truth) -> list[dict[str, Any]]:
    """How a rule's supernets are scored: images, and accuracy or loss."""
    made = []
    for way, value in itertools.product(most.ground.ways, ("accuracy", "loss")):
        those = [one for one in found if one.rule == rule and one.way == way]
        sign = 1 if value == "accuracy" else -1
        guesses = [[sign * number for number in getattr(one, value)] for one in those]
        mean = most.accuracy.mean(axis=0)
        better = [float(np.mean(mean > mean[pick(most.ground, guess)])) for guess in guesses]
        made.append(
            {
                "recalibration": way[0],
                "held-out": way[1],
                "by": value,
                "tau": asdict(mean_tau(guesses, most)),
                "better": better,
            }
        )
    return made


def show(made: dict[str, Any]) -> None:
    """The tables of docs/ranking.md."""

    def words(one: dict[str, float]) -> str:
        return f"{one['value']:6.3f} ({one['low']:.3f} to {one['high']:.3f})"

    spread = ", ".join(f"{one:.4f}" for one in made["spread"])
    print(f"mean accuracy, lowest, quartiles, highest: {spread}")
    print(f"tau-b over all distributions, mean of the rule's supernets and seeds {made['seeds']}:")
    for rule, one in made["rules"].items():
        print(
            f"{rule:9} {words(one['tau'])}  less the first: {words(one['less the first'])}  "
            f"of the mean score: {words(one['tau of the mean score'])}  "
            f"better, top five retrained: {np.mean(one['better, top five retrained']):.1%}"
        )
    print(f"each supernet, and beside the reference on {made['reference on']} distributions:")
    for rule, one in made["rules"].items():
        for supernet in one["supernets"]:
            over, beside = supernet["over all"], supernet["beside the reference"]
            cells = [
                f"{rule:9} {supernet['seed']}",
                f"tau {over['tau']['value']:.3f}",
                f"top quarter {over['tau_top']['value']:6.3f}",
                f"pick {supernet['pick']}",
                f"regret {over['regret']['value']:7.4f} +- {over['regret']['standard_error']:.4f}",
                f"better {over['regret']['better']:6.1%}",
            ]
            if beside["difference"] is not None:
                names = ("tau_others", "reference", "difference")
                cells += [f"{name} {words(beside[name])}" for name in names]
            print("  ".join(cells))
    one = made["one training"]
    print(f"one training's picks {one['picks']}, better: {np.mean(one['better']):.1%}")
    print("ways to score:")
    for way in made["ways"]:
        print(
            f"{way['recalibration']:4} recalibration, {way['held-out']:4} held-out, by "
            f"{way['by']:8}  {words(way['tau'])}  better {np.mean(way['better']):6.1%}"
        )


def figure(found: Sequence[Scored], rules: Sequence[str], most: Truth) -> Figure:
    """A scatter plot a rule: the first supernet's scores against accuracy alone."""
    drawing, axes = panels(1, len(rules), width=3.2 * len(rules), height=3.4)
    mean = most.accuracy.mean(axis=0)
    ground = most.ground
    locals_ = np.array([sum(ground.distributions[i]) for i in most.index])
    for ax, rule in zip(axes, rules, strict=True):
        one = next(o for o in found if (o.rule, o.seed, o.way) == (rule, 0, ground.usual))
        guess = np.array(one.accuracy)[list(most.index)]
        for low, high, colour, marker in zip((0, 4, 8), (3, 7, 12), COLOURS, MARKERS, strict=False):
            inside = (low <= locals_) & (locals_ <= high)
            ax.scatter(
                guess[inside], mean[inside], s=9, color=colour, marker=marker,
                label=f"{low} to {high} of 12 groups global",
            )  # fmt: skip
        ax.set_title(f"{rule}: tau-b {kendall(guess, mean):.2f}", loc="left")
        ax.set_xlabel("score with inherited weights")
    axes[0].set_ylabel(f"accuracy trained alone, mean of {len(most.seeds)}")
    axes[0].legend(fontsize=7)
    return drawing


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--of", choices=GROUNDS, default=DIGITS.name, help="[digits]")
    parser.add_argument("--rules", default=",".join(RULES), help=f"[{','.join(RULES)}]")
    parser.add_argument("--supernets", type=int, default=3, help="of each rule [3]")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ground, rules = GROUNDS[options.of], options.rules.split(",")
    found = collect(ground, rules, options.supernets)
    _, rows = read(table(ground))
    all_seeds = truth(ground, sorted({row.seed for row in rows}))
    most = truth(ground, complete(ground, rows))
    made = {
        **machine(1),
        "command": f"python -m benchmarks.ranking.rules --of {ground.name}",
        "seeds": most.seeds,
        "reference on": len(all_seeds.index),
        "spread": np.quantile(most.accuracy.mean(axis=0), (0, 0.25, 0.5, 0.75, 1)).tolist(),
        "rules": compare_rules(found, rules, all_seeds, most),
        "one training": one_training(all_seeds),
        "ways": compare_ways(found, rules[0], most),
    }
    ground.result("ranking", "json").write_text(json.dumps(made, indent=1) + "\n")
    show(made)
    save(figure(found, rules, most), DOCS / f"ranking-{ground.name}.svg")


if __name__ == "__main__":
    main()
