"""bf16 on a CPU: linear maps are multiplied in it, weights and the rest stay in fp32.

These run on every CPU: PyTorch emulates bf16 where there are no instructions for it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hnas.architecture.space import Frame, distribution_space
from hnas.data import Data, Images
from hnas.device import has_bf16, precision
from hnas.errors import InputError
from hnas.network.glit import Glit
from hnas.network.linear import linear, wide
from hnas.network.local.attention import attend
from hnas.network.precision import autocast, casts, compute_in
from hnas.network.supernet import Supernet
from hnas.scoring.score import scores
from hnas.settings import AugmentRules, ScoreRules, TrainingRules
from hnas.training.loop import train
from hnas.training.supernet import train_supernet

CPU = torch.device("cpu")
FRAME = Frame(image=8, channels=1, patch=4, classes=4, d=12, M=3, N=3)
KINDS = ("conv1d", "conv2d", "attention")
RULES = TrainingRules(epochs=2, batch=16, micro_batch=8, precision="bf16")


@pytest.fixture(autouse=True)
def every_cpu_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnas.device.has_bf16", lambda device: True)
    torch.manual_seed(0)


def supernet(kind: str = "conv1d") -> Supernet:
    frame = replace(FRAME, local=kind)
    d_z, E = (2, 3 if kind == "attention" else 1)
    return Supernet(distribution_space(frame, d_k=12, d_z=d_z, E=E, K=3)).reset(0)


def data() -> Data:
    pixels = torch.arange(32 * 64).view(32, 1, 8, 8).remainder(251).to(torch.uint8)
    images = Images(pixels=pixels, labels=torch.arange(32) % 4)
    half = torch.full((1,), 0.5)
    return Data(train=images, held_out=images, classes=tuple("0123"), mean=half, std=half)


def archs(net: Supernet, count: int = 6) -> list:
    rng = np.random.default_rng(1)
    return [net.space.sample(rng) for _ in range(count)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_subnet_is_its_standalone_network_to_the_bit(kind: str) -> None:
    net, images = supernet(kind), torch.randn(8, 1, 8, 8)
    compute_in(net, "bf16")
    for arch in archs(net):
        alone = net.extract(arch)
        exact = alone(images)
        compute_in(alone, "bf16")
        lower = alone(images)
        assert torch.equal(net(images, arch), lower)
        assert lower.dtype == torch.float32
        assert not torch.equal(lower, exact)
        assert (lower - exact).norm() <= 0.1 * exact.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_fp32_but_for_rounding(kind: str) -> None:
    net, images = supernet(kind), torch.randn(8, 1, 8, 8)
    arch, towards, found = archs(net)[0], torch.randn(8, 4), []
    for asked in ("fp32", "bf16"):
        compute_in(net, asked)
        net.zero_grad()
        net(images, arch).backward(towards)
        given = {name: weight.grad for name, weight in net.named_parameters()}
        found.append({name: grad.clone() for name, grad in given.items() if grad is not None})
    exact, lower = found
    assert exact.keys() == lower.keys()
    for name, gradient in exact.items():
        assert lower[name].dtype == torch.float32
        assert (lower[name] - gradient).norm() <= 0.05 * gradient.norm() + 1e-3, name


def test_it_can_be_taken_back() -> None:
    net, images = supernet(), torch.randn(4, 1, 8, 8)
    arch = archs(net)[0]
    before = net(images, arch)
    compute_in(net, "bf16")
    compute_in(net, "auto")
    assert torch.equal(net(images, arch), before)


def test_a_hidden_layer_stays_in_bf16_and_what_leaves_does_not() -> None:
    x, weight, bias = (
        torch.randn(2, 5, 8),
        torch.randn(16, 8).bfloat16(),
        torch.randn(16).bfloat16(),
    )
    assert linear(x, weight, bias).dtype == torch.float32
    assert linear(x, weight, bias, keep=True).dtype == torch.bfloat16
    again = linear(linear(x, weight, bias, keep=True), weight.t(), bias[:8])
    assert again.dtype == torch.float32


def test_what_is_kept_is_widened_for_attention() -> None:
    kept, exact = torch.randn(2, 5, 3, 2, 4).bfloat16(), torch.randn(2, 5, 3, 2, 4)
    assert wide(exact) is exact
    assert attend(kept).dtype == torch.float32
    assert torch.equal(attend(kept), attend(kept.float()))


def test_a_search_trains_and_scores_in_it_and_its_weights_are_fp32() -> None:
    found = []
    for asked in ("fp32", "bf16", "bf16"):
        net = supernet()
        train_supernet(net, data(), replace(RULES, precision=asked), AugmentRules(), seed=0)
        assert {weight.dtype for weight in net.state_dict().values()} == {torch.float32}
        rules = ScoreRules(batch=20, recalibration=8)
        together = [score.loss for score in scores(net, archs(net), data(), rules)]
        each = [score.loss for a in archs(net) for score in scores(net, [a], data(), rules)]
        assert together == each
        found.append(together)
    assert found[1] == found[2] != found[0]
    assert np.allclose(found[0], found[1], atol=0.05)


def test_a_network_alone_trains_in_it() -> None:
    found = []
    for asked in ("fp32", "bf16"):
        net = Glit(FRAME, FRAME.all_global()).reset(0)
        train(net, data(), replace(RULES, precision=asked), AugmentRules(), seed=0)
        assert {weight.dtype for weight in net.parameters()} == {torch.float32}
        found.append(torch.cat([weight.detach().flatten() for weight in net.parameters()]))
    assert not torch.equal(*found)
    torch.testing.assert_close(*found, rtol=0.05, atol=0.02)


def test_auto_on_a_cpu_is_fp32_whatever_the_cpu_has() -> None:
    assert precision(CPU) == precision(CPU, "fp32") == torch.float32
    assert precision(CPU, "bf16") == torch.bfloat16


def test_a_cpu_without_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hnas.device.has_bf16", lambda device: False)
    with pytest.raises(InputError, match=r"^precision bf16: the CPU of this machine has no.*fp32$"):
        compute_in(supernet(), "bf16")


@pytest.mark.parametrize(
    ("amx", "avx512", "there"),
    [(True, False, True), (False, True, True), (False, False, False)],
)
def test_which_cpu_has_it(monkeypatch: pytest.MonkeyPatch, amx, avx512, there) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: True)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx, raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512, raising=False)
    assert has_bf16(CPU) == there


def test_a_gpu_is_asked_what_it_has_and_autocast_casts(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu = torch.device("cuda")
    assert precision(gpu) == precision(gpu, "bf16") == torch.bfloat16
    assert precision(gpu, "fp32") == torch.float32
    monkeypatch.setattr("hnas.device.has_bf16", lambda device: False)
    assert precision(gpu) == torch.float32
    with pytest.raises(InputError, match="the device cuda of this machine has no products"):
        precision(gpu, "bf16")


def test_autocast_leaves_a_cpu_alone() -> None:
    net = supernet()
    compute_in(net, "bf16")
    assert casts(net) == torch.float32
    with autocast(net):
        assert not torch.is_autocast_enabled("cpu")
