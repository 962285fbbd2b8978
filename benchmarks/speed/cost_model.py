"""What a step of training and a score cost a GPU, counted without one.

    python -m benchmarks.speed.cost_model [glit-tiny ...] [--micro-batch 512] [--json FILE]

The project's own code runs on a pretended GPU whose tensors have shapes and no numbers. Each
operation that starts a kernel is counted, with the bytes that it reads and writes, its
floating-point operations and the memory that is held. A kernel takes as long as its bytes at the
GPU's bandwidth or its operations at the GPU's peak, whichever is longer, and a step as long as its
kernels, or as starting them takes. These are bounds that no GPU has confirmed: what a library
does in several kernels counts once, and convolutions seldom reach either rate.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from benchmarks.speed.counted_cuda import GPUS, CountedCuda, Kernel, counted, seconds
from benchmarks.speed.memory import by_cost, space_of
from hnas.architecture.arch import Arch
from hnas.data import Data, Images
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet
from hnas.sampling import RULES, Rule
from hnas.scoring.score import scores
from hnas.settings import AugmentRules, TrainingRules
from hnas.studies.plan.change import with_values
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import load_preset
from hnas.training.loop import train
from hnas.training.supernet import train_supernet
from hnas.training.trainer import Trainer
from tests.support.pretend_cuda import CUDA

START = (5e-6, 10e-6)
"""Seconds that the host takes to start a kernel: of a fast one, and of one like a shared server."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a step, or a score, costs."""

    name: str
    images: int
    launches: int
    gigabytes: float
    teraflops: float
    peak_gib: float
    waits: int
    seconds: dict[str, float]
    """Of the kernels alone, by GPU."""

    def bound(self, gpu: str, start: float) -> float:
        """Seconds at the least, if the host takes so many to start a kernel."""
        return max(self.seconds[gpu], self.launches * start)

    def deeper(self, next_one: Cost, blocks: int) -> Cost:
        """The cost with so many blocks more, if `next_one` has one more: all of it is linear."""

        def further(here: float, there: float) -> float:
            return here + blocks * (there - here)

        mine, its = (
            {k: v for k, v in vars(one).items() if isinstance(v, float)} for one in (self, next_one)
        )
        return replace(
            self,
            launches=self.launches + blocks * (next_one.launches - self.launches),
            seconds={k: further(v, next_one.seconds[k]) for k, v in self.seconds.items()},
            **{k: further(v, its[k]) for k, v in mine.items()},
        )


def cost(name: str, images: int, kernels: list[Kernel], gpu: CountedCuda, waits: int = 0) -> Cost:
    return Cost(
        name=name,
        images=images,
        launches=len(kernels),
        gigabytes=sum(k.bytes for k in kernels) / 1e9,
        teraflops=sum(k.flops for k in kernels) / 1e12,
        peak_gib=gpu.peak / 2**30,
        waits=waits,
        seconds={name: seconds(kernels, rates) for name, rates in GPUS.items()},
    )


def noise(plan: Plan, train: int, held_out: int) -> Data:
    """Images without any content."""
    frame = plan.net

    def made(n: int) -> Images:
        pixels = torch.empty((n, frame.channels, frame.image, frame.image), dtype=torch.uint8)
        return Images(pixels=pixels, labels=torch.arange(n) % frame.classes)

    half = torch.full((frame.channels,), 0.5)
    classes = tuple(map(str, range(frame.classes)))
    parts = {"train": made(train), "held_out": made(held_out)}
    return Data(classes=classes, mean=half, std=half, **parts).to(CUDA)


def step(name: str, plan: Plan, rules: TrainingRules, run: Callable[[Data], object]) -> Cost:
    """The second step of a training: the optimiser's state is there from then on."""
    found: list[Cost] = []
    with counted() as gpu:
        right = Trainer.step

        def stepped(trainer: Trainer, *args: Any, **more: Any) -> None:
            right(trainer, *args, **more)
            found.append(cost(name, rules.batch, gpu.kernels, gpu, gpu.waits.total()))
            gpu.kernels = []
            gpu.waits.clear()

        with mock.patch.object(Trainer, "step", stepped):
            run(noise(plan, train=2 * rules.batch, held_out=2))
    return found[1]


def supernet_step(name: str, plan: Plan, rules: TrainingRules, augment: AugmentRules) -> Cost:
    """Of the heaviest subnet of stage 2."""
    space = space_of(plan)
    rule = Rule(draw=lambda space, **_: (by_cost(space, max),))

    def run(data: Data) -> None:
        net = Supernet(space, dropout=rules.dropout).to(CUDA)
        with mock.patch.dict(RULES, {rules.subnets: rule}):
            train_supernet(net, data, replace(rules, epochs=1), augment, seed=0)

    return step(name, plan, rules, run)


def standalone_step(
    name: str, plan: Plan, rules: TrainingRules, augment: AugmentRules, arch: Arch
) -> Cost:
    def run(data: Data) -> None:
        net = Glit(plan.net, arch, dropout=rules.dropout, drop_path=rules.drop_path).to(CUDA)
        train(net, data, replace(rules, epochs=1), augment, seed=0)

    return step(name, plan, rules, run)


def scoring(name: str, plan: Plan, held_out: int) -> Cost:
    """One architecture, the heaviest of stage 2, which shares nothing with others."""
    space = space_of(plan)
    with counted() as gpu:
        data = noise(plan, train=plan.score.recalibration, held_out=held_out)
        net = Supernet(space).to(CUDA)
        gpu.kernels = []
        gpu.waits.clear()
        list(scores(net, [by_cost(space, max)], data, plan.score))
        return cost(name, held_out, gpu.kernels, gpu, gpu.waits.total())


def table(costs: list[Cost]) -> str:
    """A row a cost: Markdown, for docs/performance.md and docs/imagenet.md."""
    head = ["", "kernels", "starting them", "GB", "TFLOP", "peak GiB", "waits", *GPUS]
    rows = [head, ["---"] * len(head)]
    for one in costs:
        low, high = (1e3 * one.launches * start for start in START)
        times = [f"{1e3 * one.seconds[name]:,.1f} ms" for name in GPUS]
        rows.append(
            [
                *(one.name, f"{one.launches:,}", f"{low:.0f} to {high:.0f} ms"),
                *(f"{one.gigabytes:.1f}", f"{one.teraflops:.2f}", f"{one.peak_gib:.1f}"),
                *(str(one.waits), *times),
            ]
        )
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


IMAGES = 1_281_167
"""ImageNet's to train on."""
NIGHT = {
    **{"stage1.training.epochs": 30, "stage2.training.epochs": 20, "handoff.rule": "score"},
    **{"retrain.top": 1, "retrain.training.epochs": 30},
}
"""What a search that fits a night on one H100 sets otherwise."""


def hours(plan: Plan, costs: list[Cost], gpu: str, start: float) -> dict[str, float]:
    """Hours of a whole search of ImageNet, at the least, by its parts; `costs` as `measure` gives
    them."""
    step, _, last, score = (one.bound(gpu, start) / 3600 for one in costs)
    images = round(IMAGES * (1 - plan.data.held_out))
    supernets = plan.stage1.training, plan.stage2.training
    networks = plan.retrain.top + 1 + plan.handoff.top * (plan.handoff.rule == "retrained")
    rules = plan.retrain.training
    found = {
        "two supernets": sum(r.epochs * (images // r.batch) for r in supernets) * step,
        f"{networks} retrainings": networks * rules.epochs * (images // rules.batch) * last,
        "scores": (plan.stage1.trials + plan.stage2.trials) * score,
    }
    return {**found, "in all": sum(found.values())}


def plans(preset: str, costs: list[Cost]) -> str:
    """Hours of the preset, and of it with the settings of a night, as Markdown."""
    plan = load_preset(preset)
    rows = [["", *GPUS], ["---"] * (1 + len(GPUS))]
    for name, asked in ((preset, plan), ("a night's", with_values(plan, NIGHT))):
        times = {gpu: [hours(asked, costs, gpu, start) for start in START] for gpu in GPUS}
        for part in next(iter(times.values()))[0]:
            cells = [f"{low[part]:,.1f} to {high[part]:,.1f} h" for low, high in times.values()]
            rows.append([f"{name}: {part}", *cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


COUNTED = 2
"""Blocks that are counted, and with one more; to count all of a large network takes minutes."""


def measure(preset: str, micro_batch: int | None, *, held_out: int = 12_800) -> Iterator[Cost]:
    """The steps of a preset's trainings, and a score."""
    plan = load_preset(preset)
    rules, last = plan.stage2.training, plan.retrain.training
    if micro_batch is not None:
        rules, last = (replace(r, micro_batch=micro_batch) for r in (rules, last))
    what = f"{preset}, {rules.batch} in {rules.micro_batch or rules.batch}s"

    def alone(rules: TrainingRules, augment: AugmentRules) -> Callable[[str, Plan], Cost]:
        return lambda name, plan: standalone_step(
            name, plan, rules, augment, by_cost(space_of(plan), max)
        )

    kinds: dict[str, Callable[[str, Plan], Cost]] = {
        f"{what}: supernet": lambda name, plan: supernet_step(name, plan, rules, plan.augment),
        f"{what}: its subnet alone": alone(rules, plan.augment),
        f"{what}: retraining": alone(last, plan.retrain.augment),
        f"{preset}: a score": lambda name, plan: scoring(name, plan, held_out),
    }
    for name, count in kinds.items():
        first, second = (
            count(name, replace(plan, net=replace(plan.net, M=COUNTED + more))) for more in (0, 1)
        )
        yield first.deeper(second, plan.net.M - COUNTED)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("presets", nargs="*", default=["glit-tiny"])
    parser.add_argument("--micro-batch", type=int, help="another than the preset's")
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    costs: list[Cost] = []
    for preset in options.presets:
        found = list(measure(preset, options.micro_batch))
        print(table(found), plans(preset, found), sep="\n\n", end="\n\n", flush=True)
        costs += found
    if options.json:
        options.json.write_text(json.dumps([asdict(one) for one in costs], indent=1) + "\n")


if __name__ == "__main__":
    main()
