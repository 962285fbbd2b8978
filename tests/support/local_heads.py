"""What the tests of local heads share: random numbers, comparisons, small blocks."""

from __future__ import annotations

import torch
from torch import Tensor

from hnas.architecture.arch import Block as Choice
from hnas.architecture.space import Frame
from hnas.network.block import Block

SIDES_AND_KERNELS = [(side, K) for side in range(1, 5) for K in range(1, 2 * side, 2)]


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64, requires_grad=True)


def assert_same(ours: Tensor, theirs: Tensor, inputs: list[Tensor]) -> None:
    """Values, and the gradients of all inputs for a random gradient of the output."""
    torch.testing.assert_close(ours, theirs)
    above = normal(*ours.shape, seed=1).detach()
    for mine, other in zip(
        torch.autograd.grad(ours, inputs, above),
        torch.autograd.grad(theirs, inputs, above),
        strict=True,
    ):
        torch.testing.assert_close(mine, other)


def head(side: int, choice: Choice, *, local: str, heads: int = 1) -> Block:
    frame = Frame(
        image=2 * side, channels=1, patch=2, classes=2, d=12, M=1, N=3, heads=heads, local=local
    )
    return Block(frame, choice).double()
