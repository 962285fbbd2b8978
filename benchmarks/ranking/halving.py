"""How many candidates should be trained, and for how long, before one of them is picked?

    python -m benchmarks.ranking.halving [--of digits] [--supernets 3] [--epochs 16]

The candidates are the best by score of a supernet of the ground truth. Each starts from the
supernet's weights, is trained whole, and is judged after every epoch on the images that a search
may score on: a line of results/halving_NAME.jsonl, which is not made twice. Then every way to
choose is played on these lines: the best by score alone; the best of some whole trainings;
successive halving, where the worse half of the candidates stops after a share of the epochs. A pick
is judged by its own accuracy on the images kept for that, and by what its distribution reaches if
it is trained from nothing (`benchmarks.ranking.ground_truth`). Prints the table of docs/ranking.md.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import machine
from benchmarks.ranking.ground_truth import complete, read, table
from benchmarks.ranking.inherited import supernet
from benchmarks.ranking.rules import truth
from benchmarks.ranking.small_spaces import DIGITS, GROUNDS, Ground
from hnas.network.supernet import Supernet
from hnas.sampling import RULES
from hnas.scoring.score import evaluate, recalibrate, scores
from hnas.settings import ScoreRules
from hnas.training.loop import Context, Epoch, train

MOST = 16
"""Candidates."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One training that began with a supernet's weights."""

    seed: int
    """Of the supernet."""
    G: tuple[int, ...]
    score: float
    """With inherited weights, on the images that a search may score on."""
    curve: tuple[float, ...]
    """Accuracy on the same images after each epoch."""
    accuracy: float
    """After the last epoch, on the images kept for this."""


@dataclass(frozen=True, kw_only=True)
class Way:
    """So many candidates; after each share of the epochs only the better half goes on."""

    name: str
    candidates: int
    rungs: tuple[float, ...] = ()
    """The shares, rising."""

    def choose(self, found: Sequence[Candidate]) -> tuple[Candidate, float]:
        """The pick among the candidates, best score first, and the trainings that it cost."""
        epochs = len(found[0].curve)
        left, cost, at = list(found[: self.candidates]), 0, 0
        for share in (*self.rungs, 1.0):
            until = round(share * epochs)
            cost, at = cost + len(left) * (until - at), until
            left.sort(key=lambda one: -one.curve[until - 1])  # stable: of equal ones by score
            left = left[: max(1, len(left) // 2)] if share < 1 else left
        return left[0], cost / epochs


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to choose, with each supernet."""

    way: str
    trainings: float
    """What it cost, in whole trainings; the mean."""
    accuracy: tuple[float, ...]
    """Of the picks, as they were trained."""
    alone: tuple[float, ...]
    """Of their distributions, trained from nothing."""
    picks: tuple[str, ...]


WAYS = (
    Way(name="the best by score", candidates=1),
    Way(name="five, whole", candidates=5),
    Way(name="eight, halved twice", candidates=8, rungs=(1 / 4, 1 / 2)),
    Way(name="sixteen, halved three times", candidates=16, rungs=(1 / 8, 1 / 4, 1 / 2)),
    Way(name="sixteen, whole", candidates=16),
)


def lines(ground: Ground) -> Path:
    """Where the candidates lie."""
    return ground.result("halving", "jsonl")


def candidates(ground: Ground) -> list[Candidate]:
    """Those that were trained, best score first."""
    path = lines(ground)
    found = path.read_text().splitlines()[1:] if path.exists() else []
    made = [
        Candidate(**{**one, "G": tuple(one["G"]), "curve": tuple(one["curve"])})
        for one in map(json.loads, found)
    ]
    return sorted(made, key=lambda one: (one.seed, -one.score, one.G))


def train_candidate(
    ground: Ground, net: Supernet, seed: int, G: tuple[int, ...], score: float, epochs: int
) -> Candidate:
    """From the weights that it was scored with, by the rules of a network alone."""
    data, kept = ground.images
    arch, rules = ground.arch_of(G), ScoreRules(recalibration=ground.usual[0])
    alone, curve = net.extract(arch, recalibrate(net, arch, data, rules)), []

    def judged(_: Epoch) -> None:
        curve.append(round(evaluate(alone.eval(), data.held_out, data, batch=1024).accuracy, 6))
        alone.train()

    train(
        alone,
        data,
        replace(ground.training, epochs=epochs),
        ground.augment,
        seed=int(np.random.SeedSequence((seed, *G)).generate_state(1)[0]),
        context=Context(on_epoch=judged),
    )
    accuracy = round(evaluate(alone, kept, data, batch=1024).accuracy, 6)
    return Candidate(seed=seed, G=G, score=score, curve=tuple(curve), accuracy=accuracy)


def collected(ground: Ground, supernets: int, epochs: int) -> list[Candidate]:
    """Trains what is missing; a line a candidate, written when it is done."""
    path = lines(ground)
    if not path.exists():
        path.write_text(json.dumps({"epochs": epochs, **machine(torch.get_num_threads())}) + "\n")
    for seed in range(supernets):
        done = {one.G for one in candidates(ground) if one.seed == seed}
        if len(done) < MOST:
            net = supernet(ground, next(iter(RULES)), seed)
            for G, score in best(ground, net):
                if G not in done:
                    one = train_candidate(ground, net, seed, G, score, epochs)
                    with path.open("a") as file:
                        file.write(json.dumps(asdict(one), separators=(",", ":")) + "\n")
                        os.fsync(file.fileno())
                    print(f"supernet {seed}  G {G}  {score:.4f} -> {one.curve[-1]:.4f}", flush=True)
    return [one for one in candidates(ground) if one.seed < supernets]


def best(ground: Ground, net: Supernet) -> list[tuple[tuple[int, ...], float]]:
    """The best distributions by score, and their scores."""
    data, _ = ground.images
    archs = [ground.arch_of(G) for G in ground.distributions]
    rules = ScoreRules(recalibration=ground.usual[0], held_out=ground.usual[1])
    found = [round(one.accuracy, 6) for one in scores(net, archs, data, rules)]
    order = np.argsort(-np.array(found), kind="stable")[:MOST]
    return [(ground.distributions[i], found[i]) for i in order.tolist()]


def rows(ground: Ground, found: Sequence[Candidate]) -> Iterator[Row]:
    """A row for each way."""
    of = truth(ground, complete(ground, read(table(ground))[1]))
    mean = of.accuracy.mean(axis=0)
    alone = {ground.distributions[i]: float(mean[at]) for at, i in enumerate(of.index)}
    seeds = sorted({one.seed for one in found})
    for way in WAYS:
        made = [way.choose([one for one in found if one.seed == seed]) for seed in seeds]
        picks = [one for one, _ in made]
        yield Row(
            way=way.name,
            trainings=float(np.mean([cost for _, cost in made])),
            accuracy=tuple(one.accuracy for one in picks),
            alone=tuple(alone[one.G] for one in picks),
            picks=tuple("".join(map(str, one.G)) for one in picks),
        )


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--of", choices=GROUNDS, default=DIGITS.name, help="[digits]")
    parser.add_argument("--supernets", type=int, default=3, help="[3]")
    parser.add_argument("--epochs", type=int, default=16, help="of a whole training [16]")
    options = parser.parse_args()
    torch.set_num_threads(1)
    ground = GROUNDS[options.of]
    found = collected(ground, options.supernets, options.epochs)
    for row in rows(ground, found):
        print(
            f"{row.way:28} {row.trainings:5.2f} trainings  accuracy {np.mean(row.accuracy):.4f}  "
            f"from nothing {np.mean(row.alone):.4f}  {' '.join(row.picks)}"
        )


if __name__ == "__main__":
    main()
