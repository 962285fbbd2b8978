"""Scorer without networks, for studies of tests and benchmarks in milliseconds."""

import hashlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Frame
from hnas.scoring.record import Score


@dataclass(frozen=True, kw_only=True)
class FakeScorer:
    """Deterministic, smooth in the architecture, with noise that only depends on it.

    It likes local blocks first and global ones last (as GLiT found), short kernels early and long
    ones late, and rewards every width, less and less.
    """

    frame: Frame
    seed: int = 0
    noise: float = 0.005
    """Half width of the noise on the accuracy."""
    sleep: float = 0.0
    """Seconds that scoring one architecture takes."""

    @property
    def fingerprint(self) -> dict[str, str]:
        return {"scorer": "fake", "seed": str(self.seed), "noise": str(self.noise)}

    def score(self, archs: Sequence[Arch]) -> Iterator[Score]:
        for arch in archs:
            time.sleep(self.sleep)
            accuracy = min(max(0.1 + 0.8 * self._quality(arch) + self._noise(arch), 0.0), 1.0)
            yield Score(
                accuracy=accuracy, loss=2.0 * (1 - accuracy), images=1000, seconds=self.sleep
            )

    def _quality(self, arch: Arch) -> float:
        """0 to 1: the mean over the blocks."""
        last = max(len(arch.blocks) - 1, 1)
        blocks = (self._block(block, i / last) for i, block in enumerate(arch.blocks))
        return math.fsum(blocks) / len(arch.blocks)

    def _block(self, block: Block, depth: float) -> float:
        """0 to 1: how well a block suits its depth (0 first, 1 last)."""
        terms = [1 - (block.G / self.frame.N - depth) ** 2, 1 - math.exp(-block.d_z / 2)]
        if block.d_k is not None:
            terms.append(1 - math.exp(-2 * block.d_k / self.frame.d))
        if block.E is not None and block.K is not None:
            terms.append(1 - math.exp(-block.E))
            terms.append(1 - (block.K / 60 - 0.2 - 0.6 * depth) ** 2)
        return math.fsum(terms) / len(terms)

    def _noise(self, arch: Arch) -> float:
        digest = hashlib.sha256(f"{self.seed} {arch.to_json()}".encode()).digest()
        return self.noise * (2 * int.from_bytes(digest[:8], "big") / 2**64 - 1)
