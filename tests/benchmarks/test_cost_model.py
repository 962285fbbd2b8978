"""The model of a GPU's cost counts what the project's own count of MACs and PyTorch's tracker of
memory count."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import DeviceType
from torch.distributed._tools.mem_tracker import MemTracker

from benchmarks.speed import cost_model
from benchmarks.speed.cost_model import Cost, hours, plans, scoring, table
from benchmarks.speed.counted_cuda import GPUS, Kernel, counted, seconds
from benchmarks.speed.gpu_waits import busy
from benchmarks.speed.memory import by_cost, space_of
from hnas.architecture.space import LOCALS
from hnas.cost.flops import cost
from hnas.network.glit import Glit
from hnas.network.precision import autocast
from hnas.settings import AugmentRules, TrainingRules
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import load_preset
from hnas.training.trainer import Trainer
from tests.support.pretend_cuda import TORCH

pytestmark = pytest.mark.skipif(
    not torch.__version__.startswith(f"{TORCH}."), reason=f"a GPU is pretended to torch {TORCH}"
)


def small(local: str) -> Plan:
    plan = load_preset("cifar10")
    grid = {"K": 5} if local != "conv1d" else {}
    return replace(
        plan,
        net=replace(plan.net, M=2, local=local),
        stage1=replace(plan.stage1, **grid),
        stage2=replace(plan.stage2, **({"K": (3, 5)} if grid else {})),
    )


@pytest.mark.parametrize("local", LOCALS)
def test_a_score_has_the_operations_of_its_images(local: str) -> None:
    plan = small(local)
    plan = replace(plan, score=replace(plan.score, recalibration=32, batch=64))
    found = scoring("a score", plan, 128)
    macs = cost(plan.net, by_cost(space_of(plan), max)).macs
    assert found.teraflops * 1e12 == pytest.approx(2 * macs * (32 + 128), rel=0.01)
    assert found.launches > 50


def test_a_step_holds_what_pytorch_s_tracker_says() -> None:
    frame = small("conv1d").net
    rules = TrainingRules(epochs=1)

    def step(device: str) -> tuple[Trainer, Callable[[], None]]:
        net = Glit(frame, frame.all_global()).to(device).train()
        trainer = Trainer(net, rules)
        images = torch.zeros(8, frame.channels, frame.image, frame.image, device=device)
        labels = torch.zeros(8, dtype=torch.long, device=device)

        def run() -> None:
            with autocast(net):
                logits = net(images).float()
            F.cross_entropy(logits, labels).backward()
            trainer.step(rules.lr, rules.clip)

        return trainer, run

    trainer, run = step("cpu")
    run()
    tracker = MemTracker()
    tracker.track_external(trainer.model, trainer.optimizer)
    with tracker:
        run()
    its = tracker.get_tracker_snapshot("peak")[torch.device("cpu")]["Total"]
    with counted() as gpu:
        gpu.has_bf16 = False
        _, run = step("cuda")
        run()
        run()
    assert gpu.peak == pytest.approx(its, rel=0.1)


def test_a_kernel_takes_the_longer_of_its_bytes_and_its_operations() -> None:
    h100 = GPUS["H100"]
    moves = Kernel(name="add", bytes=3.35e9, flops=0, is_low=True)
    computes = Kernel(name="mm", bytes=1, flops=989e9, is_low=True)
    assert seconds([moves, computes], h100) == pytest.approx(2e-3)
    assert seconds([moves], GPUS["T4"]) == pytest.approx(2 * 3.35e9 / 0.32e12)  # in fp32 there


def test_a_step_s_kernels_are_counted_from_the_second_on() -> None:
    plan = small("conv1d")
    rules = replace(plan.stage2.training, batch=16, micro_batch=8)
    found = cost_model.supernet_step("a step", plan, rules, AugmentRules())
    assert found.waits == 0 and found.images == 16
    assert "| a step | " in table([found])


def test_the_hours_of_a_search_are_those_of_its_steps() -> None:
    plan = load_preset("glit-tiny")
    one = Cost(
        name="a step", images=1024, launches=1, gigabytes=0.0, teraflops=0.0, peak_gib=0.0,
        waits=0, seconds=dict.fromkeys(GPUS, 0.1),
    )  # fmt: skip
    found = hours(plan, [one] * 4, "H100", 1e-5)
    steps = 300 * (round(1_281_167 * 0.99) // 1024)
    assert found["two supernets"] == pytest.approx(2 * steps * 0.1 / 3600)
    assert found["11 retrainings"] == pytest.approx(11 * steps * 0.1 / 3600)
    assert found["scores"] == pytest.approx(2000 * 0.1 / 3600)
    late = hours(plan, [one] * 4, "H100", 1.0)
    assert late["scores"] == pytest.approx(2000 * 1.0 / 3600), "the host may be the slower one"
    assert "| a night's: in all | " in plans("glit-tiny", [one] * 4)


def test_kernels_of_a_profile_count_once() -> None:
    def row(device: DeviceType, time: float) -> SimpleNamespace:
        return SimpleNamespace(device_type=device, self_device_time_total=time)

    rows = [row(DeviceType.CPU, 2e6), row(DeviceType.CUDA, 2e6), row(DeviceType.CUDA, 1e6)]
    assert busy(rows) == 3.0


def test_a_cost_is_linear_in_the_blocks() -> None:
    plan = small("conv1d")
    rules = replace(plan.retrain.training, batch=16, micro_batch=8)

    def step(blocks: int) -> Cost:
        some = replace(plan, net=replace(plan.net, M=blocks))
        heaviest = by_cost(space_of(some), max)
        return cost_model.standalone_step("a step", some, rules, AugmentRules(), heaviest)

    found, expected = step(2).deeper(step(3), 2), step(4)
    assert found.launches == expected.launches
    assert found.gigabytes == pytest.approx(expected.gigabytes, rel=0.01)
    assert found.peak_gib == pytest.approx(expected.peak_gib, rel=0.03)
    assert found.seconds["H100"] == pytest.approx(expected.seconds["H100"], rel=0.01)
