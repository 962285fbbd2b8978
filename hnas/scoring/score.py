"""Scoring subnets with inherited weights: BatchNorm recalibration, then held-out accuracy and loss.

A population is scored as a tree: neighbours that agree on blocks 1..i share the activations after
block i, and the statistics measured there, exactly. Memory: images x T x d numbers for each place
where a later architecture branches off, at most M + 1; where that is not to be had, `Room` says
what is done without.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from hnas.architecture.arch import Arch
from hnas.data import Data, Images, fetch, normalise
from hnas.device import autocast, is_out_of_memory
from hnas.errors import StateError
from hnas.network.supernet import Norm, Statistics, Supernet
from hnas.scoring.record import Score
from hnas.settings import ScoreRules


def select(data: Data, rules: ScoreRules) -> tuple[Tensor, Images]:
    """The fixed images of a study: recalibration pixels (of the training part) and held-out ones.

    Evenly spaced, so that a source that is sorted by class gives all of its classes.
    """
    measured = _spaced(len(data.train), rules.recalibration)
    held_out = _spaced(len(data.held_out), rules.held_out)
    recalibration, scored = data.train.take(measured), data.held_out.take(held_out)
    return recalibration.tensor(), replace(scored, pixels=scored.tensor())


def _spaced(n: int, count: int) -> Tensor:
    """`count` of n indices, evenly spaced; all where count is 0 or more than n."""
    count = min(count or n, n)
    return torch.arange(count) * n // count


@dataclass(kw_only=True)
class Room:
    """How much memory scoring takes: less from the moment that it has run out.

    One object for all calls of `scores` by one study, so that it runs out once.
    """

    batch: int
    """Held-out images at a time."""
    shares: bool = True
    """Whether the held-out activations that architectures share are kept."""
    note: Callable[[str], None] = lambda text: None
    """Is told, in a sentence, what is done without."""

    def shrink(self) -> None:
        """Keeps nothing, then halves the batch. Raises StateError where one image is too much."""
        if self.shares:
            self.shares = False
            self.note(
                "scoring ran out of memory: it goes on without keeping what architectures share, "
                "more slowly, with the same scores"
            )
        elif self.batch > 1:
            self.batch //= 2
            self.note(
                f"scoring ran out of memory: it goes on with {self.batch} held-out images at a "
                "time; scores may differ from others in the last digits"
            )
        else:
            raise StateError(
                "scoring runs out of memory with one held-out image at a time: use a device with "
                "more memory or a smaller net; what was stored before is kept"
            )


@torch.inference_mode()
def scores(
    net: Supernet,
    archs: Sequence[Arch],
    data: Data,
    rules: ScoreRules,
    room: Room | None = None,
) -> Iterator[Score]:
    """The score of each architecture, in the order given; sorted by `Arch.key` they share most.

    `net` and `data` are on one device. The result does not depend on which architectures are scored
    together, and on the batch only by rounding.
    Raises InputError where an architecture is not of the supernet's space, StateError where the
    recalibration batch or one held-out image does not fit in memory.
    """
    for arch in archs:
        net.check(arch)
    net.eval()
    room = room or Room(batch=rules.batch)
    pixels, held_out = select(data, rules)
    tree: _Tree | None = None
    for arch, keep in zip(archs, branches(archs), strict=True):
        began = time.perf_counter()
        logits = None
        while logits is None:
            try:
                if tree is None or not room.shares:
                    tree = _Tree(net, data, pixels, held_out.tensor(), room)
                logits = tree.logits(arch, keep)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
            if logits is None:  # here, where the error no longer holds what is to be freed
                tree = None
                room.shrink()
        yield _score(logits, held_out.labels, began)


class _Tree:
    """What the blocks of the last architecture made of the images, where later ones branch off.

    A level is the activation after so many blocks, by their number; level 0 are the tokens.
    """

    def __init__(
        self, net: Supernet, data: Data, pixels: Tensor, held_out: Tensor, room: Room
    ) -> None:
        self.net, self.data, self.shares = net, data, room.shares
        self.statistics: list[Statistics] = []
        self.pixels, self.chunks = pixels, held_out.split(room.batch)
        self.recalibration: dict[int, Tensor] = {}
        self.held_out: list[dict[int, Tensor]] = [{} for _ in self.chunks]

    def logits(self, arch: Arch, keep: frozenset[int]) -> Tensor:
        """Of the held-out images: float32 (images, classes). It goes on from the highest level
        that was kept before; the levels `keep` of its own are kept for later."""
        with autocast(self.pixels.device):
            self._measure(arch, keep)
            chunks = [self._chunk(arch, i, keep) for i in range(len(self.chunks))]
        del self.statistics[max(keep, default=0) :]
        return torch.cat(chunks).float()

    def _measure(self, arch: Arch, keep: frozenset[int]) -> None:
        new = [Statistics() for _ in arch.blocks[len(self.statistics) :]]
        self.statistics += new
        norms = [s.measure for s in new]
        try:
            self._deepen(arch, self.pixels, self.recalibration, norms, keep)
        except (RuntimeError, MemoryError) as error:
            if self.shares or not is_out_of_memory(error):
                raise
            raise StateError(
                f"the {len(self.pixels)} images of the recalibration batch do not fit in memory, "
                "and BatchNorm is measured on them at once: lower score.recalibration in the plan "
                "(another --run: its scores are others)"
            ) from None

    def _chunk(self, arch: Arch, i: int, keep: frozenset[int]) -> Tensor:
        levels = self.held_out[i]
        norms = [s.apply for s in self.statistics[max(levels, default=0) :]]
        return self.net.logits(self._deepen(arch, self.chunks[i], levels, norms, keep))

    def _deepen(
        self,
        arch: Arch,
        pixels: Tensor,
        levels: dict[int, Tensor],
        norms: Sequence[Norm],
        keep: frozenset[int],
    ) -> Tensor:
        """Through the last blocks, each with its norm: the last activation.

        `levels` are those of `keep` afterwards; none where nothing is to be shared.
        """
        first = len(arch.blocks) - len(norms)
        x = levels.get(first)
        if x is None:
            x = self.net.tokens(normalise(pixels, self.data.mean, self.data.std))
        for level in levels.keys() - keep:
            del levels[level]
        if self.shares and first in keep:
            levels[first] = x
        for i, norm in enumerate(norms, first):
            x = self.net.blocks[i](x, arch.blocks[i], norm)
            if self.shares and i + 1 in keep:
                levels[i + 1] = x
        return x


def branches(archs: Sequence[Arch]) -> list[frozenset[int]]:
    """For each architecture, after how many of its first blocks later ones branch off."""
    after: list[frozenset[int]] = [frozenset()]
    for later, arch in itertools.pairwise(archs[::-1]):
        same = _agree(arch, later)
        after.append(frozenset(level for level in after[-1] if level < same) | {same})
    return after[::-1][: len(archs)]


def _agree(a: Arch, b: Arch) -> int:
    """On how many first blocks two architectures agree."""
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
    order = torch.arange(len(images)).split(batch)
    with autocast(device):
        logits = torch.cat(
            [model(normalise(c, data.mean, data.std)) for c in fetch(images.pixels, order)]
        ).float()
    return _score(logits, images.labels, began)
