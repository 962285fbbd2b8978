"""Local heads of pretrained supernets: near the attention they replace, and neutral to grow."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Frame, Space, size_space
from hnas.network import block as blocks
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet, extend
from hnas.training.local_start import begin_local

FRAME = Frame(
    image=16, channels=3, patch=4, classes=5, d=48, M=2, N=3, activation="gelu", local="conv2d"
)


def space(frame: Frame, *, E: tuple[int, ...] = (1,), K: tuple[int, ...] = (3,)) -> Space:
    return size_space(frame, None, d_k=(48,), d_z=(4,), E=E, K=K)


def plain(frame: Frame) -> Glit:
    return Glit(frame, frame.all_global()).reset(0).eval()


def pixels(frame: Frame, n: int = 64) -> Tensor:
    """Smooth images, whose neighbouring patches are alike."""
    coarse = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(coarse, size=(frame.image, frame.image), mode="bicubic")


def begun(frame: Frame, net: Glit, images: Tensor | None, **sizes: tuple[int, ...]) -> Supernet:
    made = Supernet(space(frame, **sizes)).reset(1)
    begin_local(made, net, images)
    return extend(made, [net]).eval()


def arch(frame: Frame, *groups: int, E: int = 1, K: int = 3) -> Arch:
    return Arch(tuple(frame.block(G, 48, 4, E, K) for G in groups))


@torch.no_grad()
def distance(net: Supernet, plain: Glit, images: Tensor) -> Tensor:
    """By block: the error of the last third of the channels, whose head is local, as a share of
    what attention gives them."""
    x, found = plain.tokens(images), []
    for mine, theirs in zip(net.blocks, plain.blocks, strict=True):
        seen = theirs.norm1(x)
        wanted = blocks.mix(seen, theirs)[..., -16:]
        choice = Block(G=2, L=1, d_k=48, d_z=4, E=1, K=3)
        standalone = blocks.Block(net.frame, choice)
        standalone.load_state_dict({**standalone.state_dict(), **mine.weights(choice)}, strict=True)
        given = blocks.mix(seen, standalone.train())[..., -16:]
        found.append(((given - wanted) ** 2).mean() / (wanted**2).mean())
        x = theirs(x)
    return torch.stack(found)


@pytest.mark.parametrize(("local", "pool"), [("conv2d", "class"), ("conv1d", "mean")])
def test_fitted_heads_are_nearer_than_silent_ones_and_these_than_random(
    local: str, pool: str
) -> None:
    frame = replace(FRAME, local=local, pool=pool)
    net, images = plain(frame), pixels(frame)
    fitted = distance(begun(frame, net, images), net, images)
    silent = distance(begun(frame, net, None), net, images)
    random = distance(extend(Supernet(space(frame)).reset(1), [net]), net, images)
    assert (fitted < 0.8 * silent).all()
    torch.testing.assert_close(silent, torch.ones(2))
    assert (silent < random).all()


def test_other_images_are_nearer_too() -> None:
    net, images = plain(FRAME), pixels(FRAME, 256)
    found = distance(begun(FRAME, net, images[:128]), net, images[128:])
    assert (found < 0.9).all()


@pytest.mark.parametrize("local", ["conv1d", "conv2d"])
def test_larger_kernels_and_expansions_change_nothing_at_first(local: str) -> None:
    frame = replace(FRAME, local=local)
    net, images = plain(frame), pixels(frame, 8)
    made = begun(frame, net, images, E=(1, 2), K=(3, 5))
    with torch.no_grad():
        small, large = (made(images, arch(frame, 1, 0, E=E, K=K)) for E, K in ((1, 3), (2, 5)))
        assert torch.equal(made(images, arch(frame, 3, 3)), net(images))
    torch.testing.assert_close(large, small, rtol=0, atol=1e-5)


def test_attention_in_windows_begins_silent() -> None:
    frame = replace(FRAME, local="attention")
    net, images = plain(frame), pixels(frame, 8)
    made = begun(frame, net, images)
    assert all(made.blocks[i].get_parameter("project.weight").abs().max() == 0 for i in (0, 1))


def test_the_same_images_give_the_same_bits() -> None:
    net, images = plain(FRAME), pixels(FRAME)
    first, second = (begun(FRAME, net, images).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
