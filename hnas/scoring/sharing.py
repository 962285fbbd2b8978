"""Activations shared while scoring: the prefix tree and its memory budget."""

import itertools
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from hnas.architecture.arch import Arch, Block
from hnas.data import Data, normalise
from hnas.device import is_out_of_memory
from hnas.errors import StateError
from hnas.network.local.head import Norm, Weights
from hnas.network.precision import autocast, casts, lowered
from hnas.network.supernet import Statistics, SuperBlock, Supernet


@dataclass(kw_only=True)
class MemoryBudget:
    """The memory that scoring takes; it shrinks when memory runs out.

    All calls of `scores` by one study share one budget, so that memory runs out once.
    """

    batch: int
    """Held-out images at a time."""
    shares: bool = True
    """Keep the held-out activations that architectures share."""
    note: Callable[[str], None] = lambda text: None
    """Called with a sentence that says what scoring does without."""

    def shrink(self) -> None:
        """Keeps nothing, then halves the batch. Raises StateError if one image is too much."""
        if self.shares:
            self.shares = False
            self.note(
                "scoring ran out of memory: it continues without keeping what architectures share, "
                "more slowly, with the same scores"
            )
        elif self.batch > 1:
            self.batch //= 2
            self.note(
                f"scoring ran out of memory: it continues with {self.batch} held-out images at a "
                "time; scores may differ from others in the last digits"
            )
        else:
            raise StateError(
                "scoring runs out of memory with one held-out image at a time: use a device with "
                "more memory or a smaller net; what was stored before is kept"
            )


_Part = tuple[Tensor, dict[int, Tensor]]
"""Pixels, and their activations by level."""


class Tree:
    """The activations of the last architecture, kept at the blocks where later ones branch off.

    A level is the activation after so many blocks, by their number; level 0 are the tokens.
    """

    def __init__(
        self, net: Supernet, data: Data, pixels: Tensor, held_out: Tensor, memory: MemoryBudget
    ) -> None:
        self.net, self.data, self.shares = net, data, memory.shares
        self.statistics: list[Statistics] = []
        self.recalibration: _Part = (pixels, {})
        self.held_out: list[_Part] = [(chunk, {}) for chunk in held_out.split(memory.batch)]
        self._cuts: dict[int, Weights] = {}

    def logits(self, arch: Arch, keep: frozenset[int]) -> Tensor:
        """Logits of the held-out images: float32 (images, classes). They continue from the highest
        kept level; the levels `keep` are kept for later."""
        self._cuts = {}
        with autocast(self.net):
            self._measure(arch, keep)
            chunks = [self._chunk(arch, part, keep) for part in self.held_out]
        del self.statistics[max(keep, default=0) :]
        return torch.cat(chunks).float()

    def _measure(self, arch: Arch, keep: frozenset[int]) -> None:
        self.statistics += [Statistics() for _ in arch.blocks[len(self.statistics) :]]
        norms = [s.measure for s in self.statistics]
        try:
            self._deepen(arch, self.recalibration, norms, keep)
        except (RuntimeError, MemoryError) as error:
            if self.shares or not is_out_of_memory(error):
                raise
            images = len(self.recalibration[0])
            raise StateError(
                f"the {images} images of the recalibration batch do not fit in memory, "
                "and BatchNorm is measured on them at once: lower score.recalibration in the plan "
                "(another --run: its scores are others)"
            ) from None

    def _chunk(self, arch: Arch, part: _Part, keep: frozenset[int]) -> Tensor:
        norms = [s.apply for s in self.statistics]
        return self.net.logits(self._deepen(arch, part, norms, keep))

    def _deepen(
        self, arch: Arch, part: _Part, norms: Sequence[Norm], keep: frozenset[int]
    ) -> Tensor:
        """From the highest level through the blocks after it, each with its norm: the last
        activation.

        The levels are those of `keep` afterwards; none if nothing is to be shared.
        """
        pixels, levels = part
        first = max(levels, default=0)
        x = levels.get(first)
        if x is None:
            x = self.net.tokens(normalise(pixels, self.data.mean, self.data.std))
        for level in levels.keys() - keep:
            del levels[level]
        if self.shares and first in keep:
            levels[first] = x
        for i in range(first, len(norms)):
            x = self.net.blocks[i](x, arch.blocks[i], norms[i], self._weights(i, arch.blocks[i]))
            if self.shares and i + 1 in keep:
                levels[i + 1] = x
        return x

    def _weights(self, i: int, block: Block) -> Weights:
        """Block i's weights, cut and cast once an architecture, not once a chunk."""
        if i not in self._cuts:
            shared = self.net.blocks[i]
            assert isinstance(shared, SuperBlock)
            self._cuts[i] = lowered(shared.weights(block), casts(self.net))
        return self._cuts[i]


def branches(archs: Sequence[Arch]) -> list[frozenset[int]]:
    """For each architecture, after how many of its first blocks later ones branch off."""
    after: list[frozenset[int]] = [frozenset()]
    for later, arch in itertools.pairwise(archs[::-1]):
        agree = sum(itertools.takewhile(bool, map(operator.eq, arch.blocks, later.blocks)))
        after.append(frozenset(level for level in after[-1] if level < agree) | {agree})
    return after[::-1][: len(archs)]
