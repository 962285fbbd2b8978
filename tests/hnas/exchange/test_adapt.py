"""A plain network in another frame: as timm resamples it, cut from the end of what is sorted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Frame
from hnas.errors import InputError
from hnas.exchange.adapt import adapt, spaced
from hnas.exchange.import_weights import ANY, recognised
from hnas.network.glit import Glit
from tests.support.timm_models import filtered, timm_vit

FRAME = Frame(image=12, channels=3, patch=4, classes=5, d=24, M=4, N=3, heads=2, activation="gelu")


def plain(frame: Frame = FRAME, **sizes: int) -> Glit:
    block = Block(G=frame.N, L=0, **{"d_k": frame.d, "d_z": 4, **sizes})
    net = Glit(frame, Arch((block,) * frame.M)).reset(0).eval()
    generator = torch.Generator().manual_seed(2)
    for name, weight in net.named_parameters():
        if name.endswith("bias"):
            weight.data.normal_(std=0.1, generator=generator)
    return net


def logits(net: Any, frame: Frame) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(4, frame.channels, frame.image, frame.image, generator=generator)
    with torch.no_grad():
        found: Tensor = net(images)
    return found


@pytest.mark.parametrize(
    ("name", "image", "patch"),
    [
        ("deit_tiny_patch16_224", 64, 16),  # more patches
        ("deit_tiny_patch16_224", 32, 16),  # fewer
        ("deit_tiny_patch16_224", 24, 8),  # smaller ones
        ("vit_tiny_patch16_224", 96, 32),  # larger ones
        ("deit3_small_patch16_224", 48, 8),  # a class token without position
        ("vit_medium_patch16_gap_256", 32, 8),  # no class token
    ],
)
def test_resampled_as_timm_does(name: str, image: int, patch: int) -> None:
    changes = {"num_classes": 5, "depth": 2}
    weights = timm_vit(name, img_size=48, **changes).state_dict()
    theirs = timm_vit(name, img_size=image, patch_size=patch, **changes)
    theirs.load_state_dict(filtered(weights, theirs))
    net, _, _ = recognised(weights, ANY)
    for keep in ("first", "large"):
        ours = adapt(net, replace(net.frame, image=image, patch=patch), keep=keep)
        torch.testing.assert_close(
            logits(ours, ours.frame), logits(theirs.eval(), ours.frame), rtol=0, atol=1e-5
        )


def test_what_is_sorted_computes_the_same() -> None:
    net = plain(d_k=48)
    ours = adapt(net, FRAME)
    assert not torch.equal(ours.blocks[1].qkv.weight, net.blocks[1].qkv.weight)
    torch.testing.assert_close(logits(ours, FRAME), logits(net, FRAME), rtol=0, atol=1e-5)
    assert torch.equal(logits(adapt(net, FRAME, keep="first"), FRAME), logits(net, FRAME))


def test_the_largest_are_first() -> None:
    block = adapt(plain(), FRAME).blocks[2]
    rows = block.fc1.weight.norm(dim=1) * block.fc2.weight.norm(dim=0)
    q, k, v = block.qkv.weight.view(3, 6, 4, 24).norm(dim=-1)
    passed = v * block.proj.weight.view(24, 6, 4).norm(dim=0)
    for sizes in (rows, q * k, passed, passed.sum(dim=1)):
        assert torch.equal(sizes, sizes.sort(descending=True).values)


def test_fewer_blocks_are_evenly_spaced() -> None:
    assert [spaced(12, n) for n in (1, 2, 3, 12)] == [[0], [0, 11], [0, 6, 11], [*range(12)]]
    net = plain()
    ours = adapt(net, replace(FRAME, M=2), keep="first")
    for mine, theirs in zip(ours.blocks, (net.blocks[0], net.blocks[3]), strict=True):
        assert torch.equal(mine.fc1.weight, theirs.fc1.weight)


def test_a_classifier_of_other_classes_is_replaced() -> None:
    net = plain()
    ours, same = adapt(net, replace(FRAME, classes=7), seed=1), adapt(net, FRAME)
    assert ours.head.weight.shape == (7, 24) and ours.head.weight.std() > 0
    assert torch.equal(same.head.weight, net.head.weight)


def test_what_it_is_made_of_stays(tmp_path: Path) -> None:
    net = plain()
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    adapt(net, replace(FRAME, image=24))
    assert all(torch.equal(net.state_dict()[name], weight) for name, weight in before.items())


def mixed() -> Glit:
    block = Block(G=1, L=2, d_k=24, d_z=4, E=1, K=3)
    return Glit(FRAME, Arch((block,) * 4)).reset(0)


def unequal() -> Glit:
    blocks = [Block(G=3, L=0, d_k=24, d_z=d_z) for d_z in (4, 2, 4, 4)]
    return Glit(FRAME, Arch(tuple(blocks))).reset(0)


@pytest.mark.parametrize(
    ("net", "frame", "message"),
    [
        (mixed(), FRAME, r"a plain ViT, and this network has mixed blocks already.*--init-from"),
        (unequal(), FRAME, r"one size, got \(d_k, d_z\) of \[\(24, 2\), \(24, 4\)\]"),
        (plain(replace(FRAME, stem="conv")), FRAME, "whose stem is 'patch', got 'conv'"),
        (
            plain(),
            replace(FRAME, d=48),
            r"(?s)must be that of the pretrained weights.*d: stored 24",
        ),
        (plain(), replace(FRAME, activation="swish"), "(?s)activation: stored 'gelu', asked 'swis"),
        (plain(), replace(FRAME, M=5), "network has M=4 blocks, got net.M=5"),
    ],
)
def test_what_does_not_fit(net: Glit, frame: Frame, message: str) -> None:
    with pytest.raises(InputError, match=message):
        adapt(net, frame)
