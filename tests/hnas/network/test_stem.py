"""Stems in networks: written out, their running statistics, what trains and decays."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from hnas.architecture import stem as arch
from hnas.architecture.space import Frame, Space, distribution_space
from hnas.architecture.stem import Convolution
from hnas.errors import InputError
from hnas.network.glit import Glit
from hnas.network.stem import Residual, stem
from hnas.network.supernet import Supernet, grow, inherit
from hnas.settings import TrainingRules
from hnas.training.trainer import adamw

FRAME = Frame(image=8, channels=3, patch=4, classes=2, d=12, M=2, N=3, stem="conv", pool="mean")
SPACE = distribution_space(FRAME, d_k=12, d_z=4, E=1, K=5)


KINDS = pytest.mark.parametrize("kind", ["conv", "residual"])


def space(kind: str) -> Space:
    return distribution_space(replace(FRAME, stem=kind), d_k=12, d_z=4, E=1, K=5)


def images(frame: Frame = FRAME, n: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(n, frame.channels, frame.image, frame.image, generator=generator)


def seen(net: Supernet | Glit) -> Supernet | Glit:
    """In eval mode, with running statistics of images."""
    with torch.no_grad():
        for _ in range(3):
            net.train().tokens(images(net.frame) + 1)
    return net.eval()


def test_a_stem_written_out() -> None:
    net = Supernet(SPACE).reset(0).train()
    x, weights = images(), dict(net.patch_embed.named_parameters())
    with torch.no_grad():
        found = net.tokens(x)
        for i in (1, 2):
            x = F.conv2d(x, weights[f"conv{i}.weight"], stride=2, padding=1)
            mean, var = x.mean((0, 2, 3), True), x.var((0, 2, 3), unbiased=False, keepdim=True)
            x = torch.relu((x - mean) / torch.sqrt(var + 1e-5))
        expected = x.flatten(2).transpose(1, 2) + net.pos_embed
    assert found.shape == (6, 4, 12) and found.is_contiguous()
    torch.testing.assert_close(found, expected)


def test_a_residual_stem_written_out() -> None:
    net = Supernet(space("residual")).reset(0).train()
    x, weights = images(), dict(net.patch_embed.named_parameters())

    def normed(x: torch.Tensor, name: str, stride: int = 1, padding: int = 1) -> torch.Tensor:
        x = F.conv2d(x, weights[name], stride=stride, padding=padding)
        mean, var = x.mean((0, 2, 3), True), x.var((0, 2, 3), unbiased=False, keepdim=True)
        return (x - mean) / torch.sqrt(var + 1e-5)

    with torch.no_grad():
        found = net.tokens(x)
        x = torch.relu(normed(x, "conv1.weight"))  # a small image keeps its side
        y = torch.relu(normed(x, "block2.conv1.weight"))
        x = torch.relu(normed(y, "block2.conv2.weight") + x)
        for block in ("block3", "block4"):
            y = torch.relu(normed(x, f"{block}.conv1.weight", stride=2))
            aside = normed(x, f"{block}.shortcut.conv.weight", stride=2, padding=0)
            x = torch.relu(normed(y, f"{block}.conv2.weight") + aside)
        expected = x.flatten(2).transpose(1, 2) + net.pos_embed
    assert found.shape == (6, 4, 12) and found.is_contiguous()
    torch.testing.assert_close(found, expected)


def test_a_residual_block_written_out() -> None:
    step = Convolution(inputs=3, outputs=4, kernel=3, stride=2, side=3)
    block, x = Residual(arch.Residual(conv1=step)).eval(), torch.randn(2, 3, 6, 6)
    with torch.no_grad():
        y = F.conv2d(x, block.conv1.weight, stride=2, padding=1) / (1 + 1e-5) ** 0.5
        y = F.conv2d(F.relu(y), block.conv2.weight, padding=1) / (1 + 1e-5) ** 0.5
        aside = F.conv2d(x, block.shortcut.conv.weight, stride=2) / (1 + 1e-5) ** 0.5
        torch.testing.assert_close(block(x), F.relu(y + aside))
    same = replace(step, inputs=4, stride=1)
    assert isinstance(Residual(arch.Residual(conv1=same)).shortcut, torch.nn.Identity)


@pytest.mark.parametrize("patch", [1, 2, 3, 4, 6, 7])
def test_a_residual_stem_gives_the_grid(patch: int) -> None:
    for side in (3, 64):
        frame = replace(FRAME, image=side * patch, patch=patch, stem="residual")
        assert stem(frame)(images(frame, n=2)).shape == (2, 12, side, side)


def test_the_mean_of_the_normed_patches_is_classified() -> None:
    net = Glit(FRAME, FRAME.all_global()).reset(0).eval()
    assert not hasattr(net, "cls_token") and net.pos_embed.shape == (1, 4, 12)
    x = torch.randn(5, 4, 12)
    expected = F.linear(net.norm(x).mean(1), net.head.weight, net.head.bias)
    torch.testing.assert_close(net.logits(x), expected)


@KINDS
def test_a_supernet_in_eval_mode_does_not_see_the_other_images(kind: str) -> None:
    net, x = seen(Supernet(space(kind)).reset(0)), images()
    with torch.no_grad():
        assert torch.allclose(net.tokens(x)[:2], net.tokens(x[:2]), atol=1e-5)
        assert not torch.allclose(net.train().tokens(x)[:2], net.tokens(x[:2]), atol=1e-3)


@KINDS
def test_running_statistics_go_where_the_weights_go(kind: str) -> None:
    own = space(kind)
    net = seen(Supernet(own).reset(0))
    arch = own.frame.all_global()
    alone = net.extract(arch)
    grown = grow(net, distribution_space(own.frame, d_k=24, d_z=4, E=1, K=5), seed=1)
    other = Supernet(own).reset(1)
    inherit(other, alone)
    buffers = dict(net.named_buffers())
    norms = ["norm1", "norm2"]
    if kind == "residual":
        norms = ["norm1", *(f"block{i}.shortcut.norm" for i in (3, 4))]
        norms += [f"block{i}.norm{j}" for i in (2, 3, 4) for j in (1, 2)]
    assert set(buffers) == {
        f"patch_embed.{norm}.{name}"
        for norm in norms
        for name in ("running_mean", "running_var", "num_batches_tracked")
    }
    for made in (alone, grown, other):
        for name, buffer in buffers.items():
            assert torch.equal(made.get_buffer(name), buffer)
            assert made.get_buffer(name) is not buffer


@pytest.mark.parametrize("name", ["stem", "pool"])
def test_a_network_of_another_stem_or_pool_is_not_inherited(name: str) -> None:
    plain = {"stem": "patch", "pool": "class"}[name]
    other = replace(FRAME, **{name: plain})
    message = f"{name}: stored '{plain}', asked '{getattr(FRAME, name)}'"
    with pytest.raises(InputError, match=message):
        inherit(Supernet(SPACE), Glit(other, other.all_global()))


@KINDS
def test_kernels_decay_and_norms_do_not(kind: str) -> None:
    net = Supernet(space(kind)).reset(0)
    groups = adamw(net, TrainingRules(epochs=1)).param_groups
    decay = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    for name, weight in net.patch_embed.named_parameters():
        assert decay[id(weight)] == (0.0 if "norm" in name else 0.05), name


@KINDS
def test_it_begins_as_pytorchs_own_layers_do(kind: str) -> None:
    wide = replace(FRAME, d=96, stem=kind)
    net = Glit(wide, wide.all_global()).reset(0)
    for name, weight in net.patch_embed.named_parameters():
        if "norm" not in name:
            bound = weight[0].numel() ** -0.5
            assert bound * 0.98 < float(weight.detach().abs().max()) <= bound
        else:
            assert torch.equal(weight, torch.full_like(weight, name.endswith("weight")))


def test_the_papers_stem_is_one_convolution() -> None:
    one = stem(replace(FRAME, stem="patch"))
    assert isinstance(one, torch.nn.Conv2d)
    assert (one.kernel_size, one.stride, one.padding) == ((4, 4), (4, 4), (0, 0))
    assert one.bias is not None
