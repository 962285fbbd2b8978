"""Every kind of local head: its table, what it sees, how it begins."""

from __future__ import annotations

import math

import pytest
import torch

from hnas.architecture import layout
from hnas.architecture.arch import Arch
from hnas.architecture.arch import Block as Choice
from hnas.architecture.space import LOCALS, Frame
from hnas.network.glit import Glit
from hnas.network.local import HEADS
from tests.support.local_heads import head, normal


def test_every_local_head_has_its_weights_and_layers() -> None:
    assert tuple(HEADS) == LOCALS
    for kind in LOCALS:
        block = head(2, Choice(G=0, L=3, d_z=1, E=1, K=3), local=kind)
        assert set(layout.LOCAL[kind]) <= {name for name, _ in block.named_parameters()}


@pytest.mark.parametrize("kind", LOCALS)
@pytest.mark.parametrize("pool", ["class", "mean"])
def test_without_global_groups_a_class_token_sees_the_image_by_conv1d(kind: str, pool: str) -> None:
    """What the module's docstring warns of: the class token meets no patch of a grid."""
    frame = Frame(image=8, channels=1, patch=2, classes=5, d=12, M=2, N=3, local=kind, pool=pool)
    images = normal(3, 1, 8, 8).detach().float()
    for G, sees in ((0, kind == "conv1d" or pool == "mean"), (1, True)):
        choice = Choice.of(G=G, L=3 - G, d_k=12, d_z=1, E=1, K=3)
        logits = Glit(frame, Arch((choice,) * 2)).reset(0).eval()(images)
        assert torch.equal(logits, logits[:1].expand_as(logits)) is not sees


@pytest.mark.parametrize("kind", LOCALS)
def test_a_kernel_begins_as_pytorchs_own_layers_do(kind: str) -> None:
    """Uniform within 1 / sqrt(fan in)."""
    frame = Frame(image=16, channels=1, patch=2, classes=2, d=96, M=1, N=3, local=kind)
    net = Glit(frame, Arch((Choice(G=0, L=3, d_z=1, E=4, K=5),))).reset(0)
    if kind == "attention":
        assert float(net.blocks[0].expand.weight.detach().std()) == pytest.approx(
            math.sqrt(2 / (96 + 3 * 4 * 96)), rel=0.02
        )
        return
    kernel = net.blocks[0].depthwise.weight.detach()
    bound = 1 / math.sqrt(kernel[0].numel())
    assert bound * 0.99 < float(kernel.abs().max()) <= bound
