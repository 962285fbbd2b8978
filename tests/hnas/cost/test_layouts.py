"""Layouts of a depthwise convolution: all compute the same, and a GPU's fastest is taken, on a
pretended GPU by a pretended clock."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from hnas.architecture.space import Frame, size_space
from hnas.cost.layouts import fastest
from hnas.network.local import HEADS, conv1d, conv2d
from hnas.network.local.layouts import USUAL, size, use
from tests.support.pretend_cuda import CUDA, TORCH, PretendCuda

FRAME = Frame(image=12, channels=1, patch=4, classes=10, d=12, M=2, N=3)
KINDS = {"conv1d": conv1d, "conv2d": conv2d}
CASES = [("conv1d", "channels-first"), ("conv1d", "FFT"), ("conv2d", "channels-first")]
BEST = [*CASES, ("conv1d", USUAL), ("conv1d", "Triton"), ("conv2d", USUAL)]
pretended = pytest.mark.skipif(
    not torch.__version__.startswith(f"{TORCH}.") or torch.cuda.is_available(),
    reason=f"a GPU is pretended to torch {TORCH} alone, and where there is none",
)


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    yield
    use({})


def depthwise(kind: str):
    return conv1d.depthwise1d if kind == "conv1d" else conv2d.depthwise2d


def given(kind: str, tokens: int, K: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    kernel = (6, 1, K) if kind == "conv1d" else (6, 1, K, K)
    shapes = (3, tokens, 6), kernel, (6,)
    return [torch.randn(s, generator=generator).requires_grad_() for s in shapes]


@pytest.mark.parametrize(("tokens", "K"), [(9, 3), (10, 5), (16, 1), (4, 7)])
@pytest.mark.parametrize(("kind", "way"), CASES)
def test_every_layout_computes_the_same(kind: str, way: str, tokens: int, K: int) -> None:
    if kind == "conv2d" and tokens == 10:
        tokens = 9  # layouts of a grid see patches alone
    inputs = given(kind, tokens, K)
    ways = KINDS[kind].LAYOUTS
    right, found = ways[USUAL](*inputs), ways[way](*inputs)
    above = torch.linspace(-1, 1, right.numel()).view_as(right)
    torch.testing.assert_close(found, right, rtol=1e-4, atol=1e-5)
    expected = torch.autograd.grad(right, inputs, above)
    for mine, its in zip(torch.autograd.grad(found, inputs, above), expected, strict=True):
        torch.testing.assert_close(mine, its, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("kind", "tokens"), [("conv1d", 10), ("conv2d", 10), ("conv2d", 9)])
def test_a_cpu_keeps_the_usual_one_to_the_bit(kind: str, tokens: int) -> None:
    inputs = given(kind, tokens, 3)
    before = depthwise(kind)(*inputs)
    use({size(t, inputs[1].shape): "channels-first" for t in (9, 10)})
    assert torch.equal(depthwise(kind)(*inputs), before)


class PretendedClock:
    """Each layout takes as long as is said, and computes as the usual one does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, kind: str, seconds: dict[str, float]):
        self.now, self.passes = 0.0, 0
        ways = KINDS[kind].LAYOUTS
        right = ways[USUAL]
        for name in [*ways]:

            def slow(*inputs, name=name):
                self.passes += 1
                self.now += seconds[name]
                return right(*inputs)

            monkeypatch.setitem(ways, name, slow)

    def __call__(self) -> float:
        return self.now


def timed(kind: str, clock: PretendedClock, known: dict[str, str]) -> dict[str, str]:
    frame = replace(FRAME, local=kind)
    space = size_space(frame, None, d_k=(12,), d_z=(2,), E=(1, 2), K=(3,))
    blocks = {block for choices in space.choices for block in choices}
    with PretendCuda():
        return fastest(frame, blocks, CUDA, batch=2, dtype=torch.bfloat16, known=known, clock=clock)


@pretended
@pytest.mark.parametrize(("kind", "best"), BEST)
def test_the_fastest_is_taken_and_what_is_known_is_not_timed(monkeypatch, kind, best) -> None:
    seconds = {name: 2.0 for name in KINDS[kind].LAYOUTS}
    clock = PretendedClock(monkeypatch, kind, {**seconds, best: 1.0})
    found = timed(kind, clock, {})
    tokens, sides = (10, "3") if kind == "conv1d" else (9, "3 x 3")
    widths = (4, 8, 12, 16, 24)  # of one, two and three local groups, E = 1 and 2
    assert found == {f"{tokens} x {C}, kernel {sides}": best for C in widths}
    before = clock.passes
    known = {**found, f"{tokens} x 8, kernel {sides}": USUAL}
    assert timed(kind, clock, known) == known
    assert clock.passes == before
    assert timed(kind, clock, dict.fromkeys(known, "no such")) == found  # of another version


@pretended
@pytest.mark.parametrize(
    "fault", [ImportError("no Triton"), torch.OutOfMemoryError("CUDA out of memory"), None]
)
def test_a_layout_that_fails_or_is_wrong_is_not_taken(monkeypatch, fault) -> None:
    clock = PretendedClock(monkeypatch, "conv1d", dict.fromkeys(conv1d.LAYOUTS, 1.0))

    def faulty(x, weight, bias):
        if fault is not None:
            raise fault
        return conv1d.channels_last(x, weight, bias) * 1.1

    monkeypatch.setitem(conv1d.LAYOUTS, "FFT", faulty)
    assert "FFT" not in timed("conv1d", clock, {}).values()


@pretended
@pytest.mark.parametrize("kind", KINDS)
def test_a_gpu_computes_by_the_layout_that_is_chosen(monkeypatch, kind: str) -> None:
    clock = PretendedClock(monkeypatch, kind, {**dict.fromkeys(KINDS[kind].LAYOUTS, 1.0), USUAL: 9})
    inputs = given(kind, 10, 3)
    with PretendCuda(), torch.no_grad():
        there = [tensor.to(CUDA) for tensor in inputs]
        depthwise(kind)(*there)
        assert clock.now == 9
        use({size(10 if kind == "conv1d" else 9, inputs[1].shape): "channels-first"})
        found = depthwise(kind)(*there).cpu()
        assert clock.now == 10
    torch.testing.assert_close(found, depthwise(kind)(*inputs))


def test_attention_has_no_convolution() -> None:
    assert not HEADS["attention"].layouts
