"""The CUDA path on a pretended GPU: no device is mixed up, and nothing waits that is not listed."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import hnas.data.randaugment as randaugment
from hnas.architecture.arch import Arch
from hnas.architecture.space import LOCALS, Frame, distribution_space, size_space
from hnas.data import Data, Images, augment, on_disk
from hnas.data.randaugment import OPERATIONS
from hnas.exchange.export import Network, load, save
from hnas.network import block
from hnas.network.glit import Glit
from hnas.network.supernet import SuperBlock, Supernet, grow
from hnas.sampling import RULES as RULES_OF_SUBNETS
from hnas.sampling import Rule
from hnas.scoring.score import evaluate, scores
from hnas.settings import METRICS, AugmentRules, DistillationRules, ScoreRules, TrainingRules
from hnas.training import loop
from hnas.training.distillation import distilled
from hnas.training.loop import train
from hnas.training.losses import supervised
from hnas.training.supernet import train_supernet
from hnas.training.trainer import Trainer
from tests.support.pretend_cuda import CUDA, TORCH, PretendCuda

pytestmark = pytest.mark.skipif(
    not torch.__version__.startswith(f"{TORCH}.") or torch.cuda.is_available(),
    reason=f"a GPU is pretended to torch {TORCH} alone, and where there is none",
)

augmenting = importlib.import_module("hnas.data.augment")
"""Not the function of that name, which `hnas.data` has."""
RULES = TrainingRules(
    epochs=1, batch=32, micro_batch=16, lr=3e-3, dropout=0.1, drop_path=0.1, ema=0.9,
    label_smoothing=0.1, mixup=0.8, cutmix=1.0, repeats=3,
)  # fmt: skip
LIGHT = AugmentRules(shift=1, flip=True, rotate=5)
DEIT = AugmentRules(
    crop=0.3, flip=True, randaugment=9.0, randaugment_outside="mean", erase=0.5, erase_noise=True
)


def frame(local: str = "conv1d") -> Frame:
    return Frame(image=16, channels=3, patch=4, classes=10, d=24, M=3, N=3, local=local)


def supernet(local: str = "conv1d") -> Supernet:
    space = size_space(frame(local), None, d_k=(24, 48), d_z=(2,), E=(1, 2), K=(3, 5))
    return Supernet(space).reset(0).to(CUDA)


def glit(seed: int = 0) -> Glit:
    arch = distribution_space(frame(), d_k=24, d_z=2, E=1, K=3).sample(np.random.default_rng(1))
    return Glit(frame(), arch, dropout=0.1, drop_path=0.1).reset(seed).to(CUDA)


def data() -> Data:
    pixels = torch.arange(64 * 768).view(64, 3, 16, 16) % 251
    images = Images(pixels=pixels.to(torch.uint8), labels=torch.arange(64) % 10)
    half = torch.full((3,), 0.5)
    classes = tuple("0123456789")
    return Data(train=images, held_out=images, classes=classes, mean=half, std=half).to(CUDA)


@pytest.fixture
def gpu() -> Iterator[PretendCuda]:
    with PretendCuda() as gpu:
        yield gpu


@pytest.fixture
def steps(gpu: PretendCuda, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, int]]:
    """The waits of each step of a training."""
    found: list[dict[str, int]] = []
    step = Trainer.step

    def counted(trainer: Trainer, *args: float, **more: bool) -> None:
        step(trainer, *args, **more)
        found.append({**gpu.waits})
        gpu.waits.clear()

    monkeypatch.setattr(Trainer, "step", counted)
    return found


def retrained(rules: TrainingRules = RULES, strong: AugmentRules = DEIT) -> Glit:
    """By the whole recipe, taught by another network."""
    net, teacher = glit(), glit(1).eval()

    def distil(loss, logits, images):
        with torch.no_grad():
            taught = teacher(images).float()
        return distilled(loss, logits, taught, DistillationRules(rule="soft", weight=0.1))

    train(net, data(), rules, strong, seed=0, losses=supervised(net, data(), rules, distil))
    return net


@pytest.mark.parametrize("augmentation", [LIGHT, DEIT], ids=["light", "DeiT's"])
@pytest.mark.parametrize("local", LOCALS)
def test_a_step_of_a_supernet_waits_for_nothing(
    steps: list[dict[str, int]], local: str, augmentation: AugmentRules
) -> None:
    rules = TrainingRules(epochs=1, batch=32, micro_batch=16, dropout=0.1)
    train_supernet(supernet(local), data(), rules, augmentation, seed=0)
    assert steps[1:] == [{}]


def test_a_step_of_the_whole_recipe_waits_for_nothing(steps: list[dict[str, int]]) -> None:
    retrained()
    assert steps[1:] == [{}]


@pytest.mark.parametrize("metric", METRICS)
def test_a_score_is_one_wait(gpu: PretendCuda, metric: str) -> None:
    net, images = supernet(), data()
    gpu.waits.clear()
    archs = [net.space.sample(np.random.default_rng(i)) for i in range(4)]
    found = list(scores(net, archs, images, ScoreRules(batch=16, metric=metric)))
    assert gpu.waits == {
        "copy to the CPU: hnas/device.py read": len(archs),
        "copy to the GPU: hnas/data/images.py take": 2,
    }
    evaluate(net.extract(archs[0]).eval(), images.held_out, images, batch=16)
    assert all(0 <= score.accuracy <= 1 for score in found)


@pytest.mark.parametrize("count", [1, 8])
@pytest.mark.parametrize("local", LOCALS)
def test_a_supernet_starts_few_kernels_more_than_its_subnet(
    gpu: PretendCuda, monkeypatch: pytest.MonkeyPatch, local: str, count: int
) -> None:
    net = supernet(local)
    arch = net.space.sample(np.random.default_rng(0))
    alone = net.extract(arch)
    rules = TrainingRules(epochs=1, batch=64, micro_batch=64 // count)
    monkeypatch.setitem(RULES_OF_SUBNETS, rules.subnets, Rule(draw=lambda *a, **k: (arch,)))

    def launches(run: Callable[[], object]) -> int:
        gpu.launches.clear()
        run()
        return gpu.launches.total()

    mine = launches(lambda: train_supernet(net, data(), rules, AugmentRules(), seed=0))
    its = launches(lambda: train(alone, data(), rules, AugmentRules(), seed=0))
    assert mine <= 1.08 * its


def test_randaugment_starts_few_kernels_beside_the_network(gpu: PretendCuda) -> None:
    """The micro-batches of a step are augmented together: eight start as many as one, at most a
    quarter of what a network as deep as glit-tiny does (docs/performance.md)."""

    def launches(M: int, count: int, rules: AugmentRules) -> int:
        deep = replace(frame(), M=M)
        arch = Arch((deep.block(1, 24, 2, 1, 3),) * M)
        training = TrainingRules(epochs=1, batch=64, micro_batch=64 // count)
        gpu.launches.clear()
        train(Glit(deep, arch).reset(0).to(CUDA), data(), training, rules, seed=0)
        return gpu.launches.total()

    def its(count: int) -> int:
        strong = AugmentRules(randaugment=9.0)
        return launches(1, count, strong) - launches(1, count, AugmentRules())

    of_one, of_two = (launches(M, 8, AugmentRules()) for M in (1, 2))
    assert its(8) <= 1.2 * its(1)
    assert its(8) <= (of_one + 11 * (of_two - of_one)) / 4


@pytest.mark.parametrize(("has_bf16", "inner"), [(True, torch.bfloat16), (False, torch.float32)])
def test_products_are_in_bf16_if_the_gpu_has_it_and_the_classifier_never(
    gpu: PretendCuda, monkeypatch: pytest.MonkeyPatch, has_bf16: bool, inner: torch.dtype
) -> None:
    gpu.has_bf16 = has_bf16
    seen: list[torch.dtype] = []
    right = block.attend

    def attend(qkv: torch.Tensor, *more: torch.Tensor) -> torch.Tensor:
        seen.append(qkv.dtype)
        return right(qkv, *more)

    monkeypatch.setattr(block, "attend", attend)
    net = supernet()
    given: list[torch.Tensor] = []
    net.head.register_forward_hook(lambda module, inputs, logits: given.append(logits))
    rules = TrainingRules(epochs=1, batch=32, micro_batch=16)
    train_supernet(net, data(), rules, LIGHT, seed=0)
    list(scores(net, [net.space.sample(np.random.default_rng(0))], data(), ScoreRules(batch=32)))
    assert set(seen) == {inner}
    assert {logits.dtype for logits in given} == {torch.float32}


@pytest.fixture
def cuts(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The blocks whose weights were cut out of a supernet, one after the other."""
    found: list[object] = []
    right = SuperBlock.weights
    monkeypatch.setattr(
        SuperBlock, "weights", lambda block, choice: (found.append(block), right(block, choice))[1]
    )
    return found


def test_weights_are_cut_once_a_step_and_once_a_score(gpu: PretendCuda, cuts: list[object]) -> None:
    net, images = supernet(), data()
    rules = TrainingRules(epochs=1, batch=32, micro_batch=8)
    train_supernet(net, images, rules, AugmentRules(), seed=0)
    assert len(cuts) == 2 * 3  # of two steps, of four micro-batches each
    cuts.clear()
    archs = [net.space.sample(np.random.default_rng(i)) for i in range(4)]
    assert len(list(scores(net, archs, images, ScoreRules(batch=8)))) == 4
    assert len(cuts) <= 4 * 3


@pytest.mark.parametrize("sizes", [(8,), (8, 3, 8)])
def test_a_pack_s_images_are_copied_beside_what_is_computed(
    gpu: PretendCuda, tmp_path: Path, sizes: tuple[int, ...]
) -> None:
    """On a second stream, which the first waits for, without the host."""
    on_disk._second_stream.cache_clear()
    pixels = torch.arange(8 * 3 * 16 * 16).view(8, 3, 16, 16).remainder(251).to(torch.uint8)
    file = tmp_path / "pixels"
    file.write_bytes(pixels.numpy().tobytes())
    sums = np.zeros((8, 3), dtype=np.int64)
    pack = on_disk.OnDisk(
        files=(file,), starts=np.array([0, 8]), image=(3, 16, 16), sums=sums, squares=sums,
        rows=np.arange(8), device=CUDA,
    )  # fmt: skip
    found = list(pack.fetch([torch.arange(size) for size in sizes]))
    assert gpu.streams == [
        *("copy on a second", "the first waits for a second", "kept for the first"),
    ] * len(sizes)
    assert not gpu.waits
    for there, size in zip(found, sizes, strict=True):
        assert torch.equal(there.cpu(), pixels[:size])
    on_disk._second_stream.cache_clear()


def test_an_epoch_ends_with_few_waits(gpu: PretendCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many tensors the training has."""
    found: list[dict[str, int]] = []
    right = loop._diverged

    def counted(*args: Any) -> str | None:
        gpu.waits.clear()
        fault = right(*args)
        found.append({**gpu.waits})
        return fault

    monkeypatch.setattr(loop, "_diverged", counted)
    retrained()
    assert found == [{"copy to the CPU: hnas/training/loop.py _diverged": 1}]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_operation_takes_its_strengths_from_the_device(gpu: PretendCuda, name: str) -> None:
    images = torch.rand(4, 3, 16, 16)
    strength, sign = torch.full((4,), 0.7), torch.tensor([1.0, -1.0, 1.0, -1.0])
    here = OPERATIONS[name](images, strength, sign)
    there = OPERATIONS[name](images.to(CUDA), strength.to(CUDA), sign.to(CUDA))
    torch.testing.assert_close(there.cpu(), here)


@pytest.mark.parametrize("rules", [LIGHT, DEIT, AugmentRules(crop=0.5, jitter=0.3)])
def test_an_augmentation_is_that_of_the_cpu(gpu: PretendCuda, rules: AugmentRules) -> None:
    given = data()
    pixels, mean = given.train.tensor(), given.mean
    there = augment(pixels, rules, seed=3, mean=mean).cpu()
    here = augment(pixels.cpu(), rules, seed=3, mean=mean.cpu())
    if not rules.erase_noise:  # that is drawn on the device
        assert torch.equal(there, here)
    assert there.shape == here.shape


def test_a_supernet_grows_and_a_network_is_exported(gpu: PretendCuda, tmp_path) -> None:
    small = Supernet(distribution_space(frame(), d_k=24, d_z=2, E=1, K=3)).reset(0).to(CUDA)
    large = grow(small, supernet().space, seed=1).to(CUDA)
    arch = large.space.sample(np.random.default_rng(0))
    network = Network(
        model=large.extract(arch).eval(), classes=tuple("0123456789"),
        mean=(0.5,) * 3, std=(0.5,) * 3,
    )  # fmt: skip
    save(network, tmp_path / "net")
    images = torch.rand(2, 3, 16, 16)
    with torch.no_grad():
        there, here = network.model(images.to(CUDA)), load(tmp_path / "net").model(images)
    torch.testing.assert_close(there.cpu(), here)


# Faults put in on purpose, each alone: the test of the whole recipe finds them


Fault = Callable[[pytest.MonkeyPatch], None]


def _spoilt(module: object, name: str, spoil: Callable[[Any], object]) -> Fault:
    """What a function gives, or the first thing of it, is spoilt."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> None:
        right = getattr(module, name)

        def wrong(*args, **named):
            found = right(*args, **named)
            if isinstance(found, tuple):
                return (spoil(found[0]), *found[1:])
            return spoil(found)

        monkeypatch.setattr(module, name, wrong)

    return patch


def _read(values: torch.Tensor) -> torch.Tensor:
    """A value is read: the GPU is waited for."""
    float(values.flatten()[0])
    return values


def _masked(values: torch.Tensor) -> torch.Tensor:
    """A mask is an index: how many it has must be known."""
    values[values > 1] = values[values > 1]
    return values


def _instead(module: object, name: str, wrong: Callable[..., object]) -> Fault:
    return lambda monkeypatch: monkeypatch.setattr(module, name, wrong)


def _mean_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    right = loop.normalise
    monkeypatch.setattr(loop, "normalise", lambda images, mean, std: right(images, mean.cpu(), std))


def _strengths_of_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """As RandAugment's once were, by a generator that looked too late."""
    right = randaugment.sent
    monkeypatch.setattr(
        randaugment, "sent", lambda v, device: v if v.is_floating_point() else right(v, device)
    )


FAULTS: dict[str, Fault] = {
    "normalised images are read": _spoilt(loop, "normalise", _read),
    "augmented images are read": _spoilt(
        augmenting, "_augmented", lambda batches: [*map(_read, batches)]
    ),
    "mixed images are read": _spoilt(loop, "mix", _read),
    "the norm of the gradient is read": _spoilt(torch.nn.utils, "clip_grad_norm_", _read),
    "a mask is an index": _spoilt(loop, "normalise", _masked),
    "normalised images are moved back": _spoilt(loop, "normalise", torch.Tensor.cpu),
    "augmented images are moved back": _spoilt(
        augmenting, "_augmented", lambda batches: [*map(torch.Tensor.cpu, batches)]
    ),
    "the labels' index is waited for": _instead(loop, "sent", torch.Tensor.to),
    "the labels' index stays": _instead(loop, "sent", lambda values, device: values),
    "the mean stays": _mean_of_the_cpu,
    "strengths of RandAugment stay": _strengths_of_the_cpu,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_found(
    steps: list[dict[str, int]], monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    FAULTS[fault](monkeypatch)
    with pytest.raises((AssertionError, RuntimeError, ValueError)):
        test_a_step_of_the_whole_recipe_waits_for_nothing(steps)
