"""A subnet's weights, cut out of a supernet once and used several times.

A step of training has one subnet and several micro-batches: cut and cast at each of them, weights
took a third of the kernels that a GPU has to start. Shapes as in `hnas.network.block`.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from hnas.architecture import layout
from hnas.architecture.arch import Arch, Block
from hnas.network.precision import lowered
from hnas.network.slicing import cut
from hnas.network.supernet import SuperBlock, Supernet


class Borrowed:
    """One subnet, whose weights are leaves of their own until their gradients are given back."""

    def __init__(self, net: Supernet, arch: Arch, dtype: torch.dtype) -> None:
        """`dtype` is what products are computed in. Raises InputError if the architecture is not of
        the supernet's space."""
        net.check(arch)
        self.net, self.arch = net, arch
        with torch.no_grad():
            cuts = [lowered(block.weights(choice), dtype) for block, choice in self._blocks()]
        self.weights = [
            {name: weight.detach().requires_grad_() for name, weight in block.items()}
            for block in cuts
        ]

    def __call__(self, images: Tensor) -> Tensor:
        """Normalised images (B, channels, image, image) -> logits (B, classes)."""
        logits: Tensor = self.net(images, self.arch, weights=self.weights)
        return logits

    def leaves(self) -> list[Tensor]:
        """All weights of blocks: the stem's and the classifier's are the supernet's own."""
        return [weight for block in self.weights for weight in block.values()]

    @torch.no_grad()
    def give_back(self, gradients: Iterator[Tensor | None]) -> None:
        """Adds the gradients of `leaves`, in their order, to those of the supernet's weights."""
        parts, empty = [], []
        for (block, choice), weights in zip(self._blocks(), self.weights, strict=True):
            sizes = layout.sizes(block.frame, choice)
            for name in weights:
                if (found := next(gradients)) is None:
                    continue
                weight, tensor = block.get_parameter(name), block.tensors[name]
                if weight.grad is None and weight.shape == found.shape:
                    weight.grad = found.to(weight.dtype)
                    continue
                if weight.grad is None:
                    weight.grad = torch.empty_like(weight)
                    empty.append(weight.grad)
                part = cut(weight.grad, tensor, block.sizes, sizes)
                parts.append((part, found.view(tensor.stored(sizes))))
        if empty:
            torch._foreach_zero_(empty)
        for part, found in parts:
            part.add_(found)

    def _blocks(self) -> list[tuple[SuperBlock, Block]]:
        blocks = [block for block in self.net.blocks if isinstance(block, SuperBlock)]
        return list(zip(blocks, self.arch.blocks, strict=True))
