"""Supernets of the small space, trained by each rule at equal cost, and what they score.

A supernet sees what a search may see of `benchmarks.ground_truth`'s images. All 256 distributions
are scored with it; a scoring is a line of results/inherited_digits.jsonl, which is not made twice.
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
from benchmarks.ground_truth import PRESET, SPACE, TABLE, arch_of, distributions, images
from hnas.recorded import recorded
from hnas.rules import AugmentRules, ScoreRules, TrainingRules
from hnas.score import scores
from hnas.supernet import Supernet
from hnas.training.supernet import train_supernet

INHERITED = TABLE.with_name("inherited_digits.jsonl")
TRAINING: TrainingRules = replace(PRESET.stage1.training, batch=64)
"""The preset's 150 epochs, of 8 batches as in the preset: 1,200 forward and backward passes."""
SCORE = PRESET.score
USUAL = (SCORE.recalibration, 288)
"""The preset's way to score: (recalibration, held-out) images, all of the latter."""
WAYS = tuple(itertools.product((32, 128, 256, 575), (72, 144, 288)))
"""Ways to score, the usual one among them."""


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


def supernet(rule: str, seed: int) -> Supernet:
    """Trained as a run's stage 1 is, from a seed of its own."""
    data, _ = images()
    weights, order = np.random.SeedSequence((seed, 1)).generate_state(2).tolist()
    net = Supernet(SPACE).reset(weights)
    rules = replace(TRAINING, subnets=rule)
    train_supernet(net, data, rules, AugmentRules(), seed=order)
    return net


def score(net: Supernet, rule: str, seed: int, way: tuple[int, int]) -> Scored:
    data, _ = images()
    rules = ScoreRules(recalibration=way[0], held_out=way[1], batch=SCORE.batch)
    found = list(scores(net, [arch_of(G) for G in distributions()], data, rules))
    return Scored(
        rule=rule,
        seed=seed,
        recalibration=way[0],
        held_out=way[1],
        accuracy=tuple(round(one.accuracy, 6) for one in found),
        loss=tuple(round(one.loss, 5) for one in found),
    )


def inherited(path: Path = INHERITED) -> list[Scored]:
    """What has been scored."""
    lines = path.read_text().splitlines()[1:] if path.exists() else []
    return [
        Scored(**{**one, "accuracy": tuple(one["accuracy"]), "loss": tuple(one["loss"])})
        for one in map(json.loads, lines)
    ]


def collect(rules: Sequence[str], supernets: int) -> list[Scored]:
    """Trains and scores what is missing; a line a scoring, written when it is done."""
    if not INHERITED.exists():
        about = {"training": recorded(TRAINING), **machine(torch.get_num_threads())}
        INHERITED.write_text(json.dumps(about) + "\n")
    for seed, rule in itertools.product(range(supernets), rules):
        done = {one.way for one in inherited() if (one.rule, one.seed) == (rule, seed)}
        missing = [way for way in (WAYS if rule == rules[0] else (USUAL,)) if way not in done]
        if not missing:
            continue
        net = supernet(rule, seed)
        for way in missing:
            line = json.dumps(asdict(score(net, rule, seed, way)), separators=(",", ":"))
            with INHERITED.open("a") as file:
                file.write(line + "\n")
                file.flush()
                os.fsync(file.fileno())
        print(f"supernet {seed} by {rule}: scored in {len(missing)} ways", flush=True)
    return [one for one in inherited() if one.rule in rules and one.seed < supernets]
