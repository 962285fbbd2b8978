"""A supernet's training step for an Arch, against the same step of the network cut out of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.common import Row, alternate, compare, main, paper_preset
from hnas.architecture.space import Space
from hnas.network.supernet import Supernet
from hnas.settings import TrainingRules
from hnas.studies.plan.plan import Plan
from hnas.training.trainer import Trainer


def measure_space(name: str, space: Space, *, batch: int, archs: int, pairs: int) -> Row:
    """Forward, backward, clipping and AdamW; every arch is a pair of its own, `pairs` times."""
    frame, rng = space.frame, np.random.default_rng(0)
    net = Supernet(space).reset(0).train()
    rules = TrainingRules(epochs=1)
    trainer = Trainer(net, rules)
    torch.manual_seed(0)
    images = torch.randn(batch, frame.channels, frame.image, frame.image)
    labels = torch.randint(0, frame.classes, (batch,))
    ours: list[float] = []
    theirs: list[float] = []

    def step(trainer: Trainer, forward: Callable[[], torch.Tensor]) -> Callable[[], None]:
        def run() -> None:
            F.cross_entropy(forward(), labels).backward()
            trainer.step(rules.lr, rules.clip)

        return run

    for arch in [space.sample(rng) for _ in range(archs)]:
        alone = net.extract(arch).train()
        mine, other = alternate(
            step(trainer, lambda arch=arch: net(images, arch)),  # type: ignore[misc]
            step(Trainer(alone, rules), lambda alone=alone: alone(images)),  # type: ignore[misc]
            pairs=pairs,
        )
        ours += mine
        theirs += other
    return compare(f"supernet step, {name}, batch {batch}", ours, theirs, "<= 1.05")


def spaces(plan: Plan) -> dict[str, Space]:
    distribution = plan.space1().sample(np.random.default_rng(1))
    return {"stage 1": plan.space1(), "stage 2": plan.space2(distribution)}


def measure(quick: bool) -> list[Row]:
    sizes = {"digits": 128} if quick else {"digits": 128, "fashion-mnist": 128, "glit-tiny": 8}
    archs = {"digits": 12, "fashion-mnist": 8, "glit-tiny": 5}
    rows = []
    for preset, batch in sizes.items():
        plan = paper_preset(preset)
        for stage, space in spaces(plan).items():
            rows.append(
                measure_space(
                    f"{preset} {stage}",
                    space,
                    batch=16 if quick else batch,
                    archs=1 if quick else archs[preset],
                    pairs=1 if quick else 9 if preset != "glit-tiny" else 3,
                )
            )
    return rows


if __name__ == "__main__":
    main(measure, __doc__)
