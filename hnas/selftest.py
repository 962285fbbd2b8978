"""Self-test of a machine, in seconds: train a small supernet, score a subnet, cut it out."""

import time
from dataclasses import dataclass

import numpy as np
import torch

from hnas.architecture.space import Frame, size_space
from hnas.data import normalise, prepare
from hnas.network.precision import autocast
from hnas.network.supernet import Supernet
from hnas.scoring.score import recalibrate, scores
from hnas.settings import AugmentRules, DataRules, ScoreRules, TrainingRules
from hnas.training.loop import Context, Epoch
from hnas.training.supernet import train_supernet

FRAME = Frame(image=8, channels=1, patch=4, classes=10, d=48, M=3, N=3)
EPOCHS = 8
TOLERANCE = {"cpu": 0.0, "cuda": 2e-2, "mps": 1e-3}
"""Largest difference of a logit that counts as none. Zero on a CPU, because every width is a
multiple of 16; a GPU has matrix products in bf16, Apple's in fp32 by other kernels."""


@dataclass(frozen=True, kw_only=True)
class SelfTest:
    """The result of a self-test."""

    seconds: float
    first_loss: float
    """Mean over the first epoch, in nats."""
    last_loss: float
    accuracy: float
    """Of one subnet with inherited weights, on held-out digits, 0 to 1."""
    difference: float
    """Largest difference of a logit between the subnet and its standalone network."""
    tolerance: float

    @property
    def problems(self) -> tuple[str, ...]:
        """All faults, in words; empty if there is none."""
        learned, better = self.last_loss < self.first_loss, self.accuracy > 2 / FRAME.classes
        checks = {
            f"training did not learn: loss {self.first_loss:.3f} to {self.last_loss:.3f}": learned,
            f"a trained subnet is no better than chance: accuracy {self.accuracy:.3f}": better,
            f"a subnet and its standalone network differ by {self.difference:.3g}, "
            f"more than {self.tolerance:.3g}": self.difference <= self.tolerance,
        }
        return tuple(problem for problem, holds in checks.items() if not holds)


def self_test(device: torch.device) -> SelfTest:
    """Digits, three blocks: trains a supernet for EPOCHS, scores a subnet, compares it with its
    standalone network."""
    began = time.perf_counter()
    data, _ = prepare(DataRules(), image=FRAME.image, channels=FRAME.channels, seed=0)
    data = data.to(device)
    space = size_space(FRAME, None, d_k=(48,), d_z=(2,), E=(1,), K=(3, 5))
    net = Supernet(space).reset(0).to(device)
    epochs: list[Epoch] = []
    training = TrainingRules(epochs=EPOCHS, batch=64, lr=3e-3)
    train_supernet(
        net, data, training, AugmentRules(), seed=0, context=Context(on_epoch=epochs.append)
    )
    arch = space.sample(np.random.default_rng(3))
    rules = ScoreRules(recalibration=128)
    (score,) = scores(net, [arch], data, rules)
    statistics = recalibrate(net, arch, data, rules)
    alone = net.extract(arch, statistics).eval()
    images = normalise(data.held_out.tensor()[:64], data.mean, data.std)
    with torch.inference_mode(), autocast(net):
        theirs = net(images, arch, [each.apply for each in statistics])
        difference = float((alone(images) - theirs).abs().max())
    return SelfTest(
        seconds=time.perf_counter() - began,
        first_loss=epochs[0].loss,
        last_loss=epochs[-1].loss,
        accuracy=score.accuracy,
        difference=difference,
        tolerance=TOLERANCE[device.type],
    )
