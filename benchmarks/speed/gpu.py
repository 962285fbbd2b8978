"""Everything that only a GPU can tell, in one command of under ten minutes.

    python -m benchmarks.speed.gpu [--device cuda] [--quick] [--json FILE]

A row that cannot be had (no CUDA, no Triton, no Optuna, no memory) says why and does not end the
others. torch and numpy are enough for the depthwise rows; scoring, steps and memory also need what
hnas.data and hnas.training import (Pillow, safetensors), the whole search Optuna and the rest.
Images of the search: $HNAS_DATA/fashion-mnist where that is, else the digits of scikit-learn.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.common import Row, alternate, compare, table, write_rows
from benchmarks.speed.depthwise import CANDIDATES
from benchmarks.speed.gpu_waits import idle, waits
from hnas.device import choose
from hnas.network.local.layouts import USUAL, Convolve

Record = dict[str, object]
SECONDS = 570
"""What is left of them when the whole search begins is what it may take."""


class Bench:
    """The device, the sizes, and the rows found so far."""

    def __init__(self, device: torch.device, quick: bool) -> None:
        self.device, self.quick = device, quick
        self.began = time.monotonic()
        self.rows: list[Record] = []

    def settle(self, run: Callable[[], object]) -> Callable[[], None]:
        """The same, ended only when the device has done it."""

        def settled() -> None:
            run()
            if self.device.type == "cuda":
                torch.cuda.synchronize()

        return settled

    def compare(
        self,
        name: str,
        ours: Callable[[], object],
        theirs: Callable[[], object],
        target: str | None,
        pairs: int = 7,
    ) -> Row:
        times = alternate(self.settle(ours), self.settle(theirs), pairs=1 if self.quick else pairs)
        row = compare(name, *times, target)
        print(table([row]).splitlines()[1], flush=True)
        self.rows.append({**asdict(row), "reached": row.reached})
        return row

    def fact(self, name: str, value: float, unit: str) -> None:
        print(f"{name:58} {value:10.4g} {unit}", flush=True)
        self.rows.append({"name": name, "value": value, "unit": unit})

    @contextlib.contextmanager
    def row(self, name: str) -> Iterator[None]:
        """What goes wrong within it is what the row says."""
        try:
            yield
        except Exception as error:
            reason = f"{type(error).__name__}: {(str(error).strip() or '-').splitlines()[0]}"
            print(f"{name:58} skipped: {reason}", flush=True)
            self.rows.append({"name": name, "skipped": reason})
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


# The depthwise convolution


def depthwise(bench: Bench) -> None:
    """Forward and backward, in bf16 on CUDA, at the paper's widths and kernels."""
    dtype = torch.bfloat16 if bench.device.type == "cuda" else torch.float32
    B, T = (2, 17) if bench.quick else (64, 197)
    widths = {"Tiny": 192} if bench.quick else {"Tiny": 192, "Small": 384, "Base": 768}
    for net, C in widths.items():
        for K in (5,) if bench.quick else (17, 31, 45):
            what = f"depthwise, GLiT-{net}, {B} x {T} x {C}, K = {K}"
            for name in list(CANDIDATES)[1:]:
                with bench.row(f"{what}: {name}"):
                    against(bench, f"{what}: {name}", CANDIDATES[name], (B, T, C, K), dtype)


def against(
    bench: Bench, name: str, other: Convolve, shape: tuple[int, int, int, int], dtype: torch.dtype
) -> None:
    """A candidate against what is used, once it is known to compute the same."""
    B, T, C, K = shape
    generator = torch.Generator().manual_seed(0)

    def normal(*size: int) -> Tensor:
        return torch.randn(size, generator=generator).to(bench.device, dtype).requires_grad_()

    x, weight, bias = normal(B, T, C), normal(C, 1, K), normal(C)
    gradient = torch.randn((B, T, C), generator=generator).to(bench.device, dtype)

    def step(convolve: Convolve) -> tuple[Tensor, ...]:
        y = convolve(x, weight, bias)
        return (y.detach(), *torch.autograd.grad(y, (x, weight, bias), gradient))

    used = CANDIDATES[USUAL]
    for mine, its in zip(step(used), step(other), strict=True):
        close = float((mine.float() - its.float()).norm() / mine.float().norm())
        if not close < 2e-2:
            raise ValueError(f"computes something else: relative difference {close:.2g}")
    bench.compare(name, partial(step, used), partial(step, other), None)
    ours, theirs = (partial(convolve, x, weight, bias) for convolve in (used, other))
    back, their_back = (
        partial(torch.autograd.grad, y(), (x, weight, bias), gradient, retain_graph=True)
        for y in (ours, theirs)
    )
    bench.compare(f"{name}, backward", back, their_back, None)
    with torch.no_grad():
        bench.compare(f"{name}, forward", ours, theirs, None)


# Attention


def attention(bench: Bench) -> None:
    """What hnas takes against cuDNN's, which plans each shape at its first call."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    from hnas.network.local.attention import attend

    heads_of = {"Tiny": 3} if bench.quick else {"Tiny": 3, "Small": 6, "Base": 12}
    for net, heads in heads_of.items():
        shape = (2, 17, 3, heads, 8) if bench.quick else (128, 197, 3, heads, 64)
        dtype = torch.bfloat16 if bench.device.type == "cuda" else torch.float32
        qkv = torch.randn(shape, device=bench.device, dtype=dtype, requires_grad=True)

        def step(qkv: Tensor = qkv) -> None:
            attend(qkv).sum().backward()

        def by_cudnn(step: Callable[[], None] = step) -> None:
            with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
                step()

        with bench.row(f"attention, GLiT-{net}: cuDNN"):
            began = time.perf_counter()
            bench.settle(by_cudnn)()
            bench.fact(f"attention, GLiT-{net}: cuDNN's first", time.perf_counter() - began, "s")
            bench.compare(f"attention, GLiT-{net}, against cuDNN", step, by_cudnn, None)


# Scoring and steps


def scoring(bench: Bench) -> None:
    """A stage 1's supernet on held-out images, against networks alone, eager and compiled."""
    from benchmarks.speed.scoring import images, prepared, score_alone
    from hnas.architecture.arch import Arch
    from hnas.network.supernet import Supernet
    from hnas.scoring.score import evaluate, scores, select
    from hnas.studies.plan.toml import load_preset

    plan = load_preset("digits" if bench.quick else "glit-small")
    count = 32 if bench.quick else 10_000
    rules = replace(plan.score, recalibration=16) if bench.quick else plan.score
    space, rng = plan.space1(), np.random.default_rng(0)
    net = Supernet(space).reset(0).to(bench.device)
    data = images(plan.net, train=rules.recalibration, held_out=count).to(bench.device)
    drawn = [space.sample(rng) for _ in range(2)]
    half = plan.net.M // 2
    archs = sorted(
        {*drawn, *(Arch(drawn[0].blocks[:half] + a.blocks[half:]) for a in drawn)},
        key=lambda arch: arch.key,
    )
    what = "digits" if bench.quick else "GLiT-Small, 224"
    alone = [prepared(net, arch).to(bench.device) for arch in archs]
    row = bench.compare(
        f"scoring {what}, {len(archs)} of a stage 1, {count:,} images",
        lambda: list(scores(net, archs, data, rules)),
        lambda: [score_alone(one, data, rules) for one in alone],
        "<= 1",
        pairs=3,
    )
    bench.fact(f"{what}: scored by the supernet", len(archs) * count / row.ours, "images/s")
    bench.fact(f"{what}: one network alone, eager", len(archs) * count / row.theirs, "images/s")
    _, held_out = select(data, rules)
    one = alone[0].eval()
    with bench.row(f"{what}: one network alone, torch.compile"):
        if bench.quick:
            raise RuntimeError("compiling takes longer than --quick may")
        compiled = torch.compile(one)
        began = time.perf_counter()
        bench.settle(lambda: evaluate(compiled, held_out, data, batch=rules.batch))()
        bench.fact(f"{what}: torch.compile, first call", time.perf_counter() - began, "s")
        bench.compare(
            f"evaluating one network, {what}: eager, against compiled",
            lambda: evaluate(one, held_out, data, batch=rules.batch),
            lambda: evaluate(compiled, held_out, data, batch=rules.batch),
            None,
            pairs=3,
        )


def steps(bench: Bench) -> None:
    """A supernet's training step against the standalone network's, and how long the GPU waits."""
    import torch.nn.functional as F

    from hnas.network.precision import autocast
    from hnas.network.supernet import Supernet
    from hnas.studies.plan.toml import load_preset
    from hnas.training.trainer import Trainer

    cases = [("digits", 128), ("glit-tiny", 128), ("glit-tiny", 512), ("glit-small", 128)]
    for preset, batch in [("digits", 16)] if bench.quick else cases:
        plan = load_preset(preset)
        space, frame = plan.space1(), plan.net
        rules = plan.stage1.training
        arch = space.sample(np.random.default_rng(0))
        net = Supernet(space).reset(0).to(bench.device).train()
        images = torch.randn(batch, frame.channels, frame.image, frame.image, device=bench.device)
        labels = torch.randint(0, frame.classes, (batch,), device=bench.device)

        def step(trainer: Trainer, forward: Callable[[], Tensor]) -> None:
            with autocast(trainer.model):
                logits = forward().float()
            F.cross_entropy(logits, labels).backward()  # noqa: B023
            trainer.step(rules.lr, rules.clip)  # noqa: B023

        alone = net.extract(arch).train()
        ours = partial(step, Trainer(net, rules), partial(net, images, arch))
        theirs = partial(step, Trainer(alone, rules), partial(alone, images))
        what = f"supernet step, {preset} stage 1, batch {batch}"
        bench.compare(what, ours, theirs, "<= 1.05")
        with bench.row(f"{what}: share of the time that the GPU waits"):
            bench.fact(f"{what}: the GPU waits", idle(bench.settle, ours), "of the time")
        with bench.row(f"{what}: how often the host waits for the GPU"):
            bench.fact(f"{what}: the host waits", waits(ours), "times a step")


def memory(bench: Bench) -> None:
    from benchmarks.speed.memory import measure
    from hnas.studies.plan.toml import PRESETS

    presets = PRESETS[:1] if bench.quick else PRESETS
    for row in measure(presets, bench.device.type, torch.get_num_threads()):
        bench.rows.append({**asdict(row), "name": f"peak memory, {row.name}"})


# A whole search


def search(bench: Bench) -> None:
    """Both stages, 1,000 trials each, retraining and the test, through the command line."""
    from hnas.studies.plan.change import override
    from hnas.studies.plan.toml import load_preset, to_toml

    data = Path(os.environ.get("HNAS_DATA", "data")) / "fashion-mnist"
    name = "fashion-mnist" if data.is_dir() and not bench.quick else "digits"
    plan = load_preset(name)
    if bench.quick:
        small = replace(plan.net, d=12, M=2)
        plan = replace(
            plan,
            net=small,
            stage1=replace(plan.stage1, d_k=12, population=2),
            stage2=replace(plan.stage2, d_k=(6, 12), population=2),
            retrain=replace(plan.retrain, top=1),
        )
        plan = override(plan, epochs=1, trials=2)
    else:
        plan = override(plan, trials=1000)
    with tempfile.TemporaryDirectory(prefix="hnas-bench-") as folder:
        file = Path(folder) / "plan.toml"
        file.write_text(to_toml(plan))
        command = [
            sys.executable, "-m", "hnas.cli.main", "search", "--plan", str(file),
            "--run", f"{folder}/run", "--device", bench.device.type,
        ]  # fmt: skip
        began = time.perf_counter()
        left = max(60.0, SECONDS - (time.monotonic() - bench.began))
        ran = subprocess.run(command, capture_output=True, text=True, timeout=left)
        minutes = (time.perf_counter() - began) / 60
    if ran.returncode:
        raise RuntimeError((ran.stderr.strip() or "it failed").splitlines()[-1])
    trials = plan.stage1.trials + plan.stage2.trials
    bench.fact(f"whole search, {name}, {trials:,} trials, retraining", minutes, "minutes")


SECTIONS = (depthwise, attention, scoring, steps, memory, search)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/gpu.json"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise SystemExit(
            "this PyTorch finds no CUDA device; --device cpu --quick tries the command"
        )
    bench = Bench(choose(str(device)), options.quick)
    for section in SECTIONS:
        with bench.row(section.__name__):
            section(bench)
    gpu = torch.cuda.get_device_name(device) if device.type == "cuda" else None
    about: Record = {"name": "device", "device": options.device, "gpu": gpu}
    about |= {"cuda": torch.version.cuda, "quick": options.quick}
    command = f"python -m benchmarks.speed.gpu --device {options.device}"
    command += " --quick" if options.quick else ""
    write_rows(options.json, [about, *bench.rows], options.threads, command)
    print(f"written: {options.json}")


if __name__ == "__main__":
    main()
