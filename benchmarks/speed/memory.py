"""Peak memory of each preset: a supernet's training step, and scoring.

    python -m benchmarks.speed.memory [--device cpu] [--quick] [--threads 1] [--json FILE]

Stage 2's supernet, one global group of three in every block; the step of its heaviest network, and
scoring that network and its lightest. On CUDA at the plan's batch and images, by torch's allocator;
on CPU the largest resident size of a process of its own, less that of one that has only imported
torch, and for the `glit-*` presets fewer images, so that it fits in 8 GB.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.common import paper_preset, write_rows
from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.cost.flops import block_cost
from hnas.machine import peak_memory
from hnas.settings import ScoreRules
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import PRESETS

HELD_OUT = {"digits": 287, "fashion-mnist": 1000, "cifar10": 5000}
"""Images that the preset scores on; the `glit-*` presets a hundredth of ImageNet."""
IMAGENET = 12_800
ON_CPU = {"glit-tiny": 16, "glit-small": 8, "glit-base": 4}
"""Images a training step; four times as many are scored on, twice as many recalibrated on."""


@dataclass(frozen=True, kw_only=True)
class Peak:
    """One measured peak."""

    name: str
    images: str
    """How many at once: a batch, or recalibration + held-out."""
    whole: bool
    """Whether that is what the plan asks."""
    megabytes: float | None
    """Of 10^6 bytes; None where it could not be measured."""
    reason: str = ""
    """Why not: most often no room."""


def space_of(plan: Plan) -> Space:
    first = plan.space1()
    mixed = Arch(tuple(next(b for b in choices if b.G == 1) for choices in first.choices))
    return plan.space2(mixed)


def by_cost(space: Space, pick: Callable[..., Any]) -> Arch:
    """The heaviest (`max`) or lightest (`min`) network."""
    frame = space.frame
    return Arch(
        tuple(
            pick(choices, key=lambda block: block_cost(frame, block).macs)
            for choices in space.choices
        )
    )


def training_step(plan: Plan, batch: int, device: str) -> None:
    """Two steps: the optimiser's state is there from the second."""
    import torch
    import torch.nn.functional as F

    from hnas.network.precision import autocast
    from hnas.network.supernet import Supernet
    from hnas.training.trainer import Trainer

    space, frame = space_of(plan), plan.net
    rules = plan.stage2.training
    net = Supernet(space, dropout=rules.dropout).reset(0).to(device).train()
    trainer = Trainer(net, rules)
    images = torch.zeros(batch, frame.channels, frame.image, frame.image, device=device)
    labels = torch.arange(batch, device=device) % frame.classes
    for _ in range(2):
        with autocast(net):
            logits = net(images, by_cost(space, max)).float()
        F.cross_entropy(logits, labels).backward()
        trainer.step(rules.lr, rules.clip)


def scoring(plan: Plan, rules: ScoreRules, held_out: int, device: str) -> None:
    from benchmarks.speed.scoring import images
    from hnas.network.supernet import Supernet
    from hnas.scoring.score import scores
    from hnas.scoring.sharing import MemoryBudget

    space = space_of(plan)
    net = Supernet(space).reset(0).to(device)
    data = images(plan.net, train=rules.recalibration, held_out=held_out).to(device)

    def full(note: str) -> None:
        raise MemoryError(note)

    memory = MemoryBudget(batch=rules.batch, note=full)
    list(scores(net, [by_cost(space, min), by_cost(space, max)], data, rules, memory))


def _peak(work: str, arguments: tuple[Any, ...], device: str, threads: int) -> float:
    """In megabytes; runs in a process of its own."""
    import torch

    torch.set_num_threads(threads)
    if work:
        {"step": training_step, "scoring": scoring}[work](*arguments, device)
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return peak_memory() / 1e6


def peak(work: str, arguments: tuple[Any, ...], device: str, threads: int) -> float:
    """In a process of its own, which ends with it; one that the system kills is a RuntimeError."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_peak, work, arguments, device, threads).result()


def cases(plan: Plan, name: str, device: str) -> Iterator[tuple[str, tuple[Any, ...], str, bool]]:
    """Work, its arguments, the number of images in words, whether it is what the plan asks."""
    batch, rules = plan.stage2.training.batch, plan.score
    held_out = HELD_OUT.get(name, IMAGENET)
    whole = device == "cuda" or name not in ON_CPU
    if not whole:
        batch = ON_CPU[name]
        held_out = 4 * batch
        rules = replace(rules, recalibration=2 * batch)
    yield "step", (plan, batch), f"{batch:,}", whole
    yield "scoring", (plan, rules, held_out), f"{rules.recalibration:,} + {held_out:,}", whole


def measure(presets: tuple[str, ...], device: str, threads: int) -> list[Peak]:
    idle = peak("", (), device, threads)
    rows = []
    for name in presets:
        for work, arguments, images, whole in cases(paper_preset(name), name, device):
            row = Peak(name=f"{name}, {work}", images=images, whole=whole, megabytes=None)
            try:
                found = peak(work, arguments, device, threads) - idle
                row = replace(row, megabytes=round(found, 1))
            except (RuntimeError, MemoryError) as error:
                row = replace(row, reason=str(error).splitlines()[0])
            print(line(row), flush=True)
            rows.append(row)
    return rows


def line(row: Peak) -> str:
    found = "not measured" if row.megabytes is None else f"{row.megabytes:9,.0f} MB"
    asked = "as planned" if row.whole else "fewer than planned"
    return f"{row.name:24} {row.images:>16} images  {found:>12}  {asked} {row.reason}".rstrip()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--quick", action="store_true", help="one preset: does it run at all?")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    presets = PRESETS[:1] if options.quick else PRESETS
    rows = measure(presets, options.device, options.threads)
    if options.json:
        command = f"python -m benchmarks.speed.memory --device {options.device}"
        write_rows(options.json, [asdict(row) for row in rows], options.threads, command)


if __name__ == "__main__":
    main()
