"""The small spaces of which networks are trained alone, and their images.

`ground_truth` trains the networks, `inherited` the supernets that guess them, `rules` compares the
two.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, Space, distribution_space
from hnas.data import Data, Images, prepare
from hnas.persist.record import recorded
from hnas.settings import AugmentRules, DataRules, TrainingRules
from hnas.studies.plan.tables import Stage1
from hnas.studies.plan.toml import load_plan

BENCHMARKS = Path(__file__).parents[1]
RESULTS = BENCHMARKS / "results"


@dataclass(frozen=True)
class Ground:
    """Distributions of a frame at one stage's sizes.

    Of the images that are not its test part (never read here) a share is trained on; a third of the
    rest are what a search may score on and two thirds are kept to say how good a network is, so
    that no network is picked on the images that say how good the pick was.
    """

    name: str
    frame: Frame
    stage: Stage1
    data: DataRules
    training: TrainingRules
    """Of a network alone."""
    supernet: TrainingRules
    augment: AugmentRules
    """Of both."""
    usual: tuple[int, int]
    """How scores are compared by rule: images for recalibration, and held out (all there are)."""
    recalibrations: tuple[int, ...]
    """How many images for it are compared; as held-out images: all, a half and a quarter."""
    sample: int
    """So many distributions, drawn once, stand for all; as many as there are: all of them."""
    seed: int = 0

    @property
    def sizes(self) -> dict[str, int]:
        """d_k, d_z, E, K of every block."""
        return {name: getattr(self.stage, name) for name in ("d_k", "d_z", "E", "K")}

    @cached_property
    def space(self) -> Space:
        return distribution_space(self.frame, **self.sizes)

    @cached_property
    def distributions(self) -> list[tuple[int, ...]]:
        """By the global groups of each block, first to last; in order."""
        everything = list(itertools.product(range(self.frame.N + 1), repeat=self.frame.M))
        drawn = np.random.default_rng(0).permutation(len(everything))[: self.sample]
        return [everything[i] for i in sorted(drawn.tolist())]

    def arch_of(self, G: Sequence[int]) -> Arch:
        """The distribution's architecture."""
        by_G = [{block.G: block for block in choices} for choices in self.space.choices]
        return Arch(tuple(choices[g] for choices, g in zip(by_G, G, strict=True)))

    @cached_property
    def images(self) -> tuple[Data, Images]:
        """What a search may see, its held-out part being the score images; and those kept."""
        data, _ = prepare(
            self.data, image=self.frame.image, channels=self.frame.channels, seed=self.seed
        )
        index = torch.arange(len(data.held_out))
        scored, kept = index[index % 3 == 0], index[index % 3 != 0]
        return replace(data, held_out=data.held_out.take(scored)), data.held_out.take(kept)

    @property
    def ways(self) -> list[tuple[int, int]]:
        """Ways to score, the usual one among them: recalibration and held-out images."""
        most = self.usual[1]
        return list(itertools.product(self.recalibrations, (most // 4, most // 2, most)))

    def settings(self) -> dict[str, Any]:
        """What every network alone depends on, but for the machine."""
        data, kept = self.images
        return {
            "frame": recorded(self.frame),
            "sizes": self.sizes,
            "training": recorded(self.training),
            "augment": recorded(self.augment),
            "images": {
                "train": [len(data.train), data.train.fingerprint],
                "score": [len(data.held_out), data.held_out.fingerprint],
                "table": [len(kept), kept.fingerprint],
            },
        }

    def result(self, kind: str, suffix: str) -> Path:
        """Where what is measured of it lies."""
        return RESULTS / f"{kind}_{self.name}.{suffix}"


def distribution(arch: Arch) -> tuple[int, ...]:
    """The inverse of `Ground.arch_of`."""
    return tuple(block.G for block in arch.blocks)


def _digits() -> Ground:
    """Stage 1 of digits-paper.toml with M = 4 blocks, 4^4 = 256 distributions, all of them.

    Alone: its retraining in 230 smaller steps, a fifteenth of its images: what 512
    trainings and more can have. Not shifted, as so few steps do not make up for it. The supernet:
    its 150 epochs, of 8 batches as there: 1,200 forward and backward passes.
    """
    plan = load_plan(BENCHMARKS / "plans" / "digits-paper.toml")
    return Ground(
        name="digits",
        frame=replace(plan.net, M=4),
        stage=plan.stage1,
        data=replace(plan.data, held_out=0.6),
        training=replace(plan.retrain.training, epochs=10, batch=24),
        supernet=replace(plan.stage1.training, batch=64),
        augment=AugmentRules(),
        usual=(256, 288),
        recalibrations=(32, 128, 256, 575),
        sample=256,
    )


def _planned(name: str, usual: tuple[int, int], recalibrations: tuple[int, ...]) -> Ground:
    """64 distributions of `plans/NAME-rank.toml`, whose retraining trains them alone."""
    plan = load_plan(BENCHMARKS / "plans" / f"{name}-rank.toml")
    return Ground(
        name=name,
        frame=plan.net,
        stage=plan.stage1,
        data=plan.data,
        training=plan.retrain.training,
        supernet=plan.stage1.training,
        augment=plan.augment,
        usual=usual,
        recalibrations=recalibrations,
        sample=64,
    )


DIGITS = _digits()
FASHION = _planned("fashion", usual=(256, 500), recalibrations=(32, 128, 256, 1500))
PHOTOS = _planned("photos", usual=(256, 2667), recalibrations=(32, 256, 2000))
GROUNDS = {ground.name: ground for ground in (DIGITS, FASHION, PHOTOS)}
MEASURED = (DIGITS, FASHION, PHOTOS)
"""Those of which all networks are trained: docs/ranking.md."""
