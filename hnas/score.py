"""Scoring subnets with inherited weights: BatchNorm recalibration, then held-out accuracy and loss.

A population is scored as a tree: architectures that agree on blocks 1..i share the activations
after block i, and the statistics measured there, exactly. Memory: one activation a level, that is
(M + 1) x images x T x d numbers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hnas.arch import Arch
from hnas.data import Data, Images, normalise
from hnas.device import autocast
from hnas.rules import ScoreRules
from hnas.scored import Score
from hnas.supernet import Statistics, Supernet


def select(data: Data, rules: ScoreRules) -> tuple[Tensor, Images]:
    """The fixed images of a study: recalibration pixels (of the training part) and held-out ones.

    Evenly spaced, so that a source that is sorted by class gives all of its classes.
    """
    measured = _spaced(len(data.train), rules.recalibration)
    held_out = _spaced(len(data.held_out), rules.held_out)
    return data.train.take(measured).pixels, data.held_out.take(held_out)


def _spaced(n: int, count: int) -> Tensor:
    """`count` of n indices, evenly spaced; all where count is 0 or more than n."""
    count = min(count or n, n)
    return torch.arange(count) * n // count


@torch.inference_mode()
def scores(net: Supernet, archs: Sequence[Arch], data: Data, rules: ScoreRules) -> Iterator[Score]:
    """The score of each architecture, in the order given; sorted by `Arch.key` they share most.

    `net` and `data` are on one device. The result does not depend on which architectures are scored
    together. Raises InputError where one is not of the supernet's space.
    """
    for arch in archs:
        net.check(arch)
    net.eval()
    device = data.held_out.pixels.device
    pixels, held_out = select(data, rules)
    with autocast(device):
        recalibration = net.tokens(normalise(pixels, data.mean, data.std))
        chunks = [
            net.tokens(normalise(chunk, data.mean, data.std))
            for chunk in held_out.pixels.split(rules.batch)
        ]
    levels = [(recalibration, chunks)]
    previous: Arch | None = None
    for arch in archs:
        began = time.perf_counter()
        del levels[_agree(previous, arch) + 1 :]
        with autocast(device):
            for i in range(len(levels) - 1, len(arch.blocks)):
                block, choice = net.blocks[i], arch.blocks[i]
                statistics = Statistics()
                x, chunks = levels[i]
                x = block(x, choice, statistics.measure)
                levels.append((x, [block(c, choice, statistics.apply) for c in chunks]))
            logits = torch.cat([net.logits(chunk) for chunk in levels[-1][1]]).float()
        previous = arch
        yield _score(logits, held_out.labels, began)


def _agree(a: Arch | None, b: Arch) -> int:
    """On how many first blocks two architectures agree."""
    if a is None:
        return 0
    same = 0
    while same < len(b.blocks) and a.blocks[same] == b.blocks[same]:
        same += 1
    return same


def _score(logits: Tensor, labels: Tensor, began: float) -> Score:
    right = (logits.argmax(-1) == labels).sum()
    loss = F.cross_entropy(logits, labels)
    return Score(
        accuracy=int(right) / len(labels) if bool(logits.isfinite().all()) else math.nan,
        loss=float(loss),
        images=len(labels),
        seconds=time.perf_counter() - began,
    )


@torch.inference_mode()
def recalibrate(net: Supernet, arch: Arch, data: Data, rules: ScoreRules) -> list[Statistics]:
    """The BatchNorm statistics that `scores` measures for one architecture, block by block."""
    net.eval()
    pixels, _ = select(data, rules)
    statistics = [Statistics() for _ in arch.blocks]
    with autocast(pixels.device):
        net(normalise(pixels, data.mean, data.std), arch, [s.measure for s in statistics])
    return statistics


@torch.inference_mode()
def evaluate(model: nn.Module, images: Images, data: Data, *, batch: int) -> Score:
    """Accuracy and loss of a network alone, in eval mode, on any labelled images."""
    model.eval()
    began = time.perf_counter()
    device = images.pixels.device
    with autocast(device):
        logits = torch.cat(
            [model(normalise(c, data.mean, data.std)) for c in images.pixels.split(batch)]
        ).float()
    return _score(logits, images.labels, began)
