"""A sampling rule: how it draws, and what the subnets learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space


class Draw(Protocol):
    def __call__(self, space: Space, *, seed: int, step: int) -> tuple[Arch, ...]:
        """The subnets of a step, as many in every step."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule: how a supernet's subnets are drawn, and what they learn from."""

    draw: Draw
    distils: bool = False
    """The first subnet of a step learns from the labels, the others from what it answers."""

    def passes(self, space: Space) -> int:
        """Subnets a step."""
        return len(self.draw(space, seed=0, step=0))
