"""Supernets of the small spaces, trained by each rule at equal cost, and what they score.

A supernet sees what a search may see of `benchmarks.ranking.small_spaces`'s images; "uniform x2"
has twice the epochs, "uniform bf16" another precision. All distributions of the table are scored
with it; a scoring is a line of results/inherited_NAME.jsonl, which is not made twice.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import machine
from benchmarks.ranking.small_spaces import Ground
from hnas.network.supernet import Supernet
from hnas.persist.record import recorded
from hnas.scoring.score import scores
from hnas.settings import ScoreRules
from hnas.training.supernet import train_supernet


@dataclass(frozen=True, kw_only=True)
class Scored:
    """All distributions, in order, scored with one supernet in one way."""

    rule: str
    seed: int
    recalibration: int
    """Training images."""
    held_out: int
    """Images."""
    accuracy: tuple[float, ...]
    loss: tuple[float, ...]

    @property
    def way(self) -> tuple[int, int]:
        return self.recalibration, self.held_out


def lines(ground: Ground) -> Path:
    """Where its scorings lie."""
    return ground.result("inherited", "jsonl")


def supernet(ground: Ground, rule: str, seed: int) -> Supernet:
    """Trained as a run's stage 1 is, from a seed of its own, by a rule of `hnas.sampling`; by
    "uniform x2" for twice the epochs, by "uniform bf16" in that precision."""
    data, _ = ground.images
    weights, order = np.random.SeedSequence((seed, 1)).generate_state(2).tolist()
    net = Supernet(ground.space).reset(weights)
    name, _, how = rule.partition(" ")
    rules = replace(ground.supernet, subnets=name, precision="bf16" if how == "bf16" else "auto")
    if how.startswith("x"):
        rules = replace(rules, epochs=rules.epochs * int(how[1:]))
    train_supernet(net, data, rules, ground.augment, seed=order)
    return net


def score(ground: Ground, net: Supernet, rule: str, seed: int, way: tuple[int, int]) -> Scored:
    data, _ = ground.images
    rules = ScoreRules(recalibration=way[0], held_out=way[1])
    found = list(scores(net, [ground.arch_of(G) for G in ground.distributions], data, rules))
    return Scored(
        rule=rule,
        seed=seed,
        recalibration=way[0],
        held_out=way[1],
        accuracy=tuple(round(one.accuracy, 6) for one in found),
        loss=tuple(round(one.loss, 5) for one in found),
    )


def inherited(ground: Ground) -> list[Scored]:
    """What has been scored."""
    path = lines(ground)
    found = path.read_text().splitlines()[1:] if path.exists() else []
    return [
        Scored(**{**one, "accuracy": tuple(one["accuracy"]), "loss": tuple(one["loss"])})
        for one in map(json.loads, found)
    ]


def collect(ground: Ground, rules: Sequence[str], supernets: int) -> list[Scored]:
    """Trains and scores what is missing; a line a scoring, written when it is done."""
    path = lines(ground)
    if not path.exists():
        about = {"training": recorded(ground.supernet), **machine(torch.get_num_threads())}
        path.write_text(json.dumps(about) + "\n")
    for seed, rule in itertools.product(range(supernets), rules):
        done = {one.way for one in inherited(ground) if (one.rule, one.seed) == (rule, seed)}
        ways = ground.ways if rule == rules[0] else [ground.usual]
        missing = [way for way in ways if way not in done]
        if not missing:
            continue
        net = supernet(ground, rule, seed)
        for way in missing:
            made = score(ground, net, rule, seed, way)
            with path.open("a") as file:
                file.write(json.dumps(asdict(made), separators=(",", ":")) + "\n")
                file.flush()
                os.fsync(file.fileno())
        print(f"supernet {seed} by {rule}: scored in {len(missing)} ways", flush=True)
    return [one for one in inherited(ground) if one.rule in rules and one.seed < supernets]
