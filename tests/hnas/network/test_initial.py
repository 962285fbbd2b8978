"""Initial weights, against layers of PyTorch as DeiT and GLiT's release initialise them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Frame, size_space
from hnas.network.cnn import Cnn
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet, grow

SIZES: dict[str, Any] = {"d_k": (96, 192, 384), "d_z": (2, 4), "E": (1, 2), "K": (17, 31)}


def frame(**kinds: str) -> Frame:
    sizes = {"image": 32, "channels": 3, "patch": 16, "classes": 100, "d": 192, "M": 2, "N": 3}
    return Frame(**{**sizes, **kinds})  # type: ignore[arg-type]


def arch() -> Arch:
    return Arch((Block(G=1, L=2, d_k=192, d_z=4, E=2, K=31), Block(G=3, L=0, d_k=96, d_z=2)))


def layer(name: str, weight: torch.Tensor) -> nn.Module | None:
    """The release's layer of a weight, initialised as there: its own for nn.Conv and BatchNorm,
    trunc_normal_(std=0.02) and zeros for nn.Linear. None: tokens, which are drawn as nn.Linear."""
    part = name.rpartition(".")[0].rpartition(".")[2]
    if part == "patch_embed":
        return nn.Conv2d(weight.shape[1], weight.shape[0], weight.shape[2])
    if part in ("expand", "project"):
        return nn.Conv1d(weight.shape[1], weight.shape[0], 1)
    if part == "depthwise":
        return nn.Conv1d(weight.shape[0], weight.shape[0], weight.shape[2], groups=weight.shape[0])
    if "norm" in part:
        return nn.LayerNorm(weight.shape[0])
    if not part:
        return None
    made = nn.Linear(weight.shape[1], weight.shape[0])
    nn.init.trunc_normal_(made.weight, std=0.02)
    nn.init.zeros_(made.bias)
    return made


def same_distribution(ours: torch.Tensor, theirs: torch.Tensor) -> bool:
    """By spread and ends: a uniform distribution ends at 1.73 of its spread, a normal later."""
    if theirs.unique().numel() == 1:
        return torch.equal(ours.flatten(), theirs.flatten())
    close = math.isclose(ours.std().item(), theirs.std().item(), rel_tol=0.1 + 4 / ours.numel())
    uniform = theirs.abs().max() < 1.8 * theirs.std()
    return close and bool(uniform == (ours.abs().max() < 1.8 * ours.std()))


@pytest.mark.parametrize("shared", [False, True], ids=["alone", "supernet"])
def test_weights_are_drawn_as_deit_and_the_release_do(shared: bool) -> None:
    torch.manual_seed(0)
    made = Supernet(size_space(frame(), None, **SIZES)) if shared else Glit(frame(), arch())
    named = dict(made.reset(3, "deit").named_parameters())
    seen = 0
    for name, weight in named.items():
        if name.endswith("bias"):
            continue
        theirs = layer(name, weight)
        if theirs is None:
            assert math.isclose(weight.std().item(), 0.02, rel_tol=0.1), name
            continue
        assert isinstance(theirs.weight, torch.Tensor) and isinstance(theirs.bias, torch.Tensor)
        assert same_distribution(weight, theirs.weight), name
        bias = named[name.removesuffix("weight") + "bias"]
        assert same_distribution(bias, theirs.bias), name
        seen += 1
    assert seen == sum(name.endswith(".weight") for name in named) > 18


def test_what_each_way_leaves_and_draws() -> None:
    """Both are functions of the seed; a local head's biases are zeros in glorot alone."""
    nets = {name: Glit(frame(), arch()).reset(0, name) for name in ("glorot", "deit")}
    again = Glit(frame(), arch()).reset(0, "deit")
    for (name, ours), theirs in zip(
        nets["deit"].named_parameters(), again.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs), name
    biases = {name: net.blocks[0].expand.bias for name, net in nets.items()}
    assert not biases["glorot"].any() and biases["deit"].all()
    assert Glit(frame(), arch()).reset(0).head.weight.equal(nets["glorot"].head.weight)
    glorot, deit = (net.blocks[0].fc1.weight.std().item() for net in nets.values())
    assert glorot / deit == pytest.approx(math.sqrt(2 / (192 + 768)) / 0.02, rel=0.05)


def test_what_grows_is_drawn_in_the_same_way() -> None:
    small = Supernet(size_space(frame(), None, d_k=(96,), d_z=(2,), E=(1,), K=(17,)))
    large = size_space(frame(), None, **SIZES)
    for name in ("glorot", "deit"):
        grown = grow(small.reset(1, name), large, seed=2, initial=name)
        drawn = Supernet(large).reset(2, name)
        rows = slice(2 * 192, None)  # of the FFN: what only the large one has
        for one, other in zip(grown.blocks, drawn.blocks, strict=True):
            assert torch.equal(one.fc1.weight[rows], other.fc1.weight[rows])
            assert not torch.equal(one.fc1.weight, other.fc1.weight)


@pytest.mark.parametrize("kinds", [{"stem": "conv"}, {"local": "attention"}, {"pool": "mean"}])
def test_every_kind_of_network_can_be_drawn(kinds: dict[str, str]) -> None:
    for name in ("glorot", "deit"):
        net = Supernet(
            size_space(frame(**kinds), None, d_k=(192,), d_z=(2,), E=(1,), K=(3,))
        ).reset(0, name)
        assert all(weight.isfinite().all() for weight in net.parameters())
        assert net.blocks[0].qkv.weight.std() > 0
    assert Cnn(image=8, channels=1, classes=2).reset(0).head.weight.std() > 0
