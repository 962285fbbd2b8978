"""The local head, forward and backward, against the textbook's: nn.Conv1d over (B, C, T).

Then depthwise convolutions against plainer ones: tokens as an image of height 1, and kernels'
gradients on the grid by oneDNN.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.common import Row, alternate, compare, main
from benchmarks.speed.depthwise import lying
from hnas.architecture.arch import Block
from hnas.architecture.space import Frame
from hnas.network.block import Block as LocalBlock
from hnas.network.block import local
from hnas.network.local.conv1d import TokenConv1d, depthwise1d
from hnas.network.local.conv2d import convolved, depthwise2d
from hnas.network.local.layouts import Convolve


class TextbookHead(nn.Module):
    """Pointwise, GLU, depthwise, BatchNorm, Swish, pointwise, all over (B, C, T)."""

    def __init__(self, C: int, K: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(C, 2 * C, 1),
            nn.GLU(dim=1),
            nn.Conv1d(C, C, K, padding=K // 2, groups=C),
            nn.BatchNorm1d(C),
            nn.SiLU(),
            nn.Conv1d(C, C, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x.transpose(1, 2))
        return y.transpose(1, 2)

    def load(self, block: LocalBlock) -> None:
        """The weights of our head."""
        expand, _, depthwise, norm, _, project = self.layers
        for ours, theirs in (
            (block.expand, expand),
            (block.depthwise, depthwise),
            (block.norm, norm),
            (block.project, project),
        ):
            state = {k: v.reshape(theirs.state_dict()[k].shape) for k, v in _state(ours).items()}
            theirs.load_state_dict(state)


def _state(module: nn.Module) -> dict[str, Tensor]:
    return module.state_dict()


def forward_backward(layer: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], None]:
    """One step; gradients of the input and of all weights, as inside a network."""
    x = x.clone().requires_grad_()
    gradient = torch.randn_like(x)

    def step() -> None:
        layer(x).backward(gradient)

    return step


def measure(quick: bool) -> list[Row]:
    B, T, C, K = (2, 17, 12, 5) if quick else (32, 197, 192, 31)
    pairs = 2 if quick else 15
    torch.manual_seed(0)
    x = torch.randn(B, T, C)

    ours, theirs = (
        TokenConv1d(C, C, K, padding=K // 2, groups=C),
        nn.Conv1d(C, C, K, padding=K // 2, groups=C),
    )
    theirs.load_state_dict(ours.state_dict())

    def textbook(x: Tensor) -> Tensor:
        y: Tensor = theirs(x.transpose(1, 2))
        return y.transpose(1, 2)

    torch.testing.assert_close(ours(x), textbook(x))
    size = f"{B} x {T} x {C}, K = {K}"
    depthwise = compare(
        f"depthwise, forward + backward, {size}",
        *alternate(forward_backward(ours, x), forward_backward(textbook, x), pairs=pairs),
        ">= 2.5",
        "s",
    )

    frame = Frame(image=8, channels=1, patch=4, classes=2, d=C, M=1, N=3)
    block = LocalBlock(frame, Block(G=0, L=3, d_z=1, E=1, K=K))
    head = TextbookHead(C, K)
    head.load(block)
    torch.testing.assert_close(local(x, block), head(x))
    whole = compare(
        f"local head, forward + backward, {size}",
        *alternate(
            forward_backward(lambda x: local(x, block), x), forward_backward(head, x), pairs=pairs
        ),
        ">= 1.5",
        "s",
    )
    return [depthwise, whole, *(beside_plainer(*each, quick=quick) for each in PLAINER)]


PLAINER = (
    ("tokens, 128 x 17 x 48, K = 17", depthwise1d, lying, (128, 17, 48), (17,)),
    ("tokens, 128 x 65 x 96, K = 31", depthwise1d, lying, (128, 65, 96), (31,)),
    ("grid, 128 x 4 x 4 x 48, K = 7", depthwise2d, convolved, (128, 16, 48), (7, 7)),
    ("grid, 128 x 7 x 7 x 96, K = 5", depthwise2d, convolved, (128, 49, 96), (5, 5)),
    ("grid, 64 x 8 x 8 x 96, K = 5", depthwise2d, convolved, (64, 64, 96), (5, 5)),
    ("grid, 64 x 8 x 8 x 192, K = 7", depthwise2d, convolved, (64, 64, 192), (7, 7)),
)


def beside_plainer(
    name: str,
    ours: Convolve,
    theirs: Convolve,
    shape: tuple[int, ...],
    kernel: tuple[int, ...],
    *,
    quick: bool,
) -> Row:
    """Forward and backward, gradients of the tokens, the kernel and the bias."""
    x = torch.randn(shape)
    weight = torch.randn(shape[2], 1, *kernel).requires_grad_()
    bias = torch.randn(shape[2]).requires_grad_()
    mine, other = (partial(each, weight=weight, bias=bias) for each in (ours, theirs))
    steps = forward_backward(mine, x), forward_backward(other, x)
    found = alternate(*steps, pairs=2 if quick else 15)
    return compare(f"depthwise, {name}", *found, None, "s")


if __name__ == "__main__":
    main(measure, __doc__)
