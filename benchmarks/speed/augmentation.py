"""What retraining's augmentation costs, beside the training step that it is for."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import torch
import torch.nn.functional as F

from benchmarks.common import Row, alternate, compare, main
from hnas.data import augment, mix
from hnas.network.glit import Glit
from hnas.settings import AugmentRules
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import load_preset
from hnas.training.trainer import Trainer

FULL = load_preset("glit-tiny").retrain


def recipes(plan: Plan) -> dict[str, AugmentRules]:
    """The preset's own; RandAugment alone; all of DeiT's."""
    alone = AugmentRules(randaugment=FULL.augment.randaugment)
    own = {} if plan.retrain == FULL else {"the preset's own": plan.retrain.augment}
    return {**own, "RandAugment alone": alone, "DeiT's": FULL.augment}


def measure_preset(name: str, *, batch: int, pairs: int) -> list[Row]:
    """Augmentation and mixing of a batch against forward, backward and AdamW of the all-global
    network, the cheapest there is at stage 1's sizes."""
    plan = load_preset(name)
    net, rules = plan.net, plan.retrain.training
    trainer = Trainer(Glit(net, net.all_global()).reset(0).train(), rules)
    generator = torch.Generator().manual_seed(0)
    shape = (batch, net.channels, net.image, net.image)
    pixels = torch.randint(256, shape, dtype=torch.uint8, generator=generator)
    labels = torch.randint(net.classes, (batch,), generator=generator)
    mixing = replace(rules, mixup=FULL.training.mixup, cutmix=FULL.training.cutmix)
    mean, seeds = torch.full((net.channels,), 0.5), itertools.count()

    def prepare(asked: AugmentRules) -> Callable[[], object]:
        def run() -> object:
            seed = next(seeds)
            images = augment(pixels, asked, seed=seed, mean=mean).float()
            return mix(images, labels, mixing, classes=net.classes, seed=seed)

        return run

    images = pixels.float() / 255

    def step() -> None:
        F.cross_entropy(trainer.model(images), labels).backward()
        trainer.step(rules.lr, rules.clip)

    return [
        compare(
            f"augmentation, {name}, batch {batch}: {what}",
            *alternate(prepare(asked), step, pairs=pairs),
            target=None,
        )
        for what, asked in recipes(plan).items()
    ]


def measure(quick: bool) -> list[Row]:
    sizes = {"digits": (16, 1)} if quick else {"digits": (128, 21), "glit-tiny": (16, 7)}
    return [
        row
        for name, (batch, pairs) in sizes.items()
        for row in measure_preset(name, batch=batch, pairs=pairs)
    ]


if __name__ == "__main__":
    main(measure, __doc__)
