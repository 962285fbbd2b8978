"""The start of local heads in a supernet of pretrained weights: a mixed network begins near the
plain one.

A local head's depthwise convolution averages the smallest window, every channel by itself, and its
last map is fitted by least squares to what attention gives the same channels on training images.
Each group of channels is fitted alone, from itself: so one fit holds for any number of local
groups. Larger kernels and expansions begin with zeros around it, and change nothing at first.

B images, T tokens, Cl local channels, N groups.
"""

import torch
from torch import Tensor

from hnas.network import block as blocks
from hnas.network.glit import Glit
from hnas.network.local import HEADS
from hnas.network.supernet import Subnet, SuperBlock, Supernet, batch_norm

RIDGE = 1e-3
"""Of the least squares, as a share of the features' mean square."""
OPEN = 4.0
"""Bias of the gates, which lets 98 % pass."""


@torch.no_grad()
def silence(net: Supernet) -> None:
    """Local heads add nothing, and grow by nothing: their last maps and kernels are zero."""
    for name, weight in net.named_parameters():
        if name.endswith((".project.weight", ".depthwise.weight")):
            weight.zero_()


@torch.no_grad()
def begin_local(net: Supernet, plain: Glit, images: Tensor | None) -> None:
    """The supernet's local heads as said above, in place; without images they are silent.

    images: normalised float (B, channels, image, image), on the device of both networks.
    """
    silence(net)
    for block, space in zip(net.blocks, net.space.blocks, strict=True):
        assert isinstance(block, SuperBlock)
        _average(block, min(space.K))
    if images is None:
        return
    x = plain.eval().tokens(images)
    for block, theirs in zip(net.blocks, plain.blocks, strict=True):
        assert isinstance(block, SuperBlock) and isinstance(theirs, blocks.Block)
        seen = theirs.norm1(x)
        if "depthwise.weight" in block.tensors:
            _fit(block, seen, blocks.mix(seen, theirs))
        x = theirs(x)


def _average(block: SuperBlock, K: int) -> None:
    """A convolution's first expansion passes each channel, averaged over the window."""
    if "depthwise.weight" not in block.tensors:
        return
    Cl, E = block.sizes["Cl"], block.sizes["E"]
    expand = block.get_parameter("expand.weight").view(2, E, Cl, Cl)
    expand[0, 0] = torch.eye(Cl)
    expand[1, 0] = 0.0
    block.get_parameter("expand.bias").view(2, E, Cl)[1, 0] = OPEN
    kernel = block.get_parameter("depthwise.weight")
    wide, dims = block.sizes["K"], kernel.ndim - 2
    inner: Tensor = kernel
    for dim in range(dims):
        inner = inner.narrow(2 + dim, (wide - K) // 2, K)
    inner.fill_(1.0 / K**dims)


def _fit(block: SuperBlock, seen: Tensor, wanted: Tensor) -> None:
    """The last map of the first expansion, group by group: seen, wanted (B, T, d)."""
    Cl, E, N = block.sizes["Cl"], block.sizes["E"], block.frame.N
    width = block.frame.d // N
    w: dict[str, Tensor] = {name: block.get_parameter(name) for name in block.tensors}
    sizes = {**block.sizes, "Cg": 0}
    parts = Subnet(w, sizes, block.frame, lambda x: x, batch_norm)
    parts.project = lambda x: x
    features = HEADS[block.frame.local].forward(seen[..., -Cl:], parts)
    features = features.unflatten(-1, (E, Cl))[..., 0, :].flatten(0, 1).double().cpu()
    targets = wanted[..., -Cl:].flatten(0, 1).double().cpu()
    project = block.get_parameter("project.weight").view(Cl, E, Cl)
    bias = block.get_parameter("project.bias")
    for first in range(0, Cl, width):
        own = slice(first, first + width)
        map_, shift = _least_squares(features[:, own], targets[:, own])
        project[own, 0, own] = map_.to(project)
        bias[own] = shift.to(bias)


def _least_squares(features: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """(map (c, c), bias (c,)) that gives targets (n, c) from features (n, c)."""
    mean, wanted = features.mean(dim=0), targets.mean(dim=0)
    centred = features - mean
    square = centred.T @ centred
    square += RIDGE * square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype)
    map_ = torch.linalg.solve(square, centred.T @ (targets - wanted)).T
    return map_, wanted - map_ @ mean
