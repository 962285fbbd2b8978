"""Scoring subnets with inherited weights: BatchNorm recalibration, then held-out accuracy and loss.

A population is scored as a tree: neighbours that agree on blocks 1..i share the activations after
block i, and the statistics measured there, exactly. Memory: images x T x d numbers for each place
where a later architecture branches off, at most M + 1. If memory runs out, `MemoryBudget` says what
scoring does without.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hnas.architecture.arch import Arch
from hnas.data import Data, Images, normalise
from hnas.device import is_out_of_memory, read
from hnas.network.precision import autocast
from hnas.network.supernet import Statistics, Supernet
from hnas.scoring.metric import answers, measured, of_answers
from hnas.scoring.pairs import packed
from hnas.scoring.record import Score
from hnas.scoring.sharing import MemoryBudget, Tree, branches
from hnas.settings import CODE, ScoreRules


def select(data: Data, rules: ScoreRules) -> tuple[Tensor, Images]:
    """The fixed images of a study: recalibration pixels (of the training part) and held-out ones.

    Evenly spaced, so that a source that is sorted by class gives all of its classes.
    """
    measured = _spaced(data.train, rules.recalibration)
    scored = _spaced(data.held_out, rules.held_out)
    return measured.tensor(), replace(scored, pixels=scored.tensor())


def _spaced(images: Images, count: int) -> Images:
    """`count` of the images, evenly spaced; all if count is 0 or more than there are."""
    n = len(images)
    count = min(count or n, n)
    return images.take(torch.arange(count) * n // count)


@torch.inference_mode()
def scores(
    net: Supernet,
    archs: Sequence[Arch],
    data: Data,
    rules: ScoreRules,
    memory: MemoryBudget | None = None,
) -> Iterator[Score]:
    """The score of each architecture, in the order given; sorted by `Arch.key` they share most.

    `net` and `data` are on one device. The result does not depend on which architectures are scored
    together, and on the batch only by rounding.
    Raises InputError if an architecture is not of the supernet's space, StateError if the
    recalibration batch or one held-out image does not fit in memory.
    """
    for arch in archs:
        net.check(arch)
    net.eval()
    memory = memory or MemoryBudget(batch=rules.batch)
    pixels, held_out = select(data, rules)
    tree: Tree | None = None
    for arch, keep in zip(archs, branches(archs), strict=True):
        began = time.perf_counter()
        logits = None
        while logits is None:
            try:
                if tree is None or not memory.shares:
                    tree = Tree(net, data, pixels, held_out.tensor(), memory)
                logits = tree.logits(arch, keep)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            if logits is None:  # here, where the error no longer holds what is to be freed
                tree = None
                memory.shrink()
        yield score_of(logits, held_out.labels, began, metric=rules.metric)


def score_of(logits: Tensor, labels: Tensor, began: float, *, metric: str = "accuracy") -> Score:
    """The score that logits (n, classes) come to; scoring began at that `time.perf_counter`."""
    accuracy, error, right = math.nan, None, None
    lost, finite = F.cross_entropy(logits, labels), logits.isfinite().all()
    given, shown, lost, finite = read(answers(metric, logits), labels, lost, finite)
    if finite:
        own = CODE.fullmatch(metric)
        found = measured(metric, logits, labels) if own else of_answers(metric, given, shown)
        accuracy, error = found
        if metric == "accuracy":
            right = packed((given == shown).numpy())
    seconds, images = time.perf_counter() - began, len(labels)
    return Score(
        accuracy=accuracy,
        loss=float(lost),
        images=images,
        seconds=seconds,
        error=error,
        right=right,
    )


@torch.inference_mode()
def recalibrate(net: Supernet, arch: Arch, data: Data, rules: ScoreRules) -> list[Statistics]:
    """The BatchNorm statistics that `scores` measures for one architecture, block by block."""
    net.eval()
    pixels, _ = select(data, rules)
    statistics = [Statistics() for _ in arch.blocks]
    with autocast(net):
        net(normalise(pixels, data.mean, data.std), arch, [s.measure for s in statistics])
    return statistics


def evaluate(
    model: nn.Module, images: Images, data: Data, *, batch: int, metric: str = "accuracy"
) -> Score:
    """Metric and loss of a standalone network, in eval mode, on any labelled images."""
    began = time.perf_counter()
    logits = logits_of(model, images, data, batch=batch)
    return score_of(logits, images.labels, began, metric=metric)


@torch.inference_mode()
def logits_of(model: nn.Module, images: Images, data: Data, *, batch: int) -> Tensor:
    """What a standalone network, in eval mode, gives any images: float32 (n, classes)."""
    model.eval()
    order = torch.arange(len(images)).split(batch)
    with autocast(model):
        logits = [model(normalise(part, data.mean, data.std)) for part in images.fetch(order)]
    return torch.cat(logits).float()
