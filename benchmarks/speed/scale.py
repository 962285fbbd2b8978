"""What a search would cost at a size that nobody has run: slopes by trial, bytes by preset.

    python -m benchmarks.speed.scale [--quick] [--json FILE]

A study in SQLite is filled with random architectures of GLiT-Tiny's two stages. At each of its
sizes are measured: its bytes on the disk, the CPU time of storing a trial, of reading all trials as
a search that resumes does and as Optuna's own `get_trials` does, of the front among them, and the
memory that the read trials take. The slope of each is what a further trial costs.

Presets are only counted: bytes of the supernets and images that a worker loads, and what 64 GPUs
that train together would spend on a step and on exchanging gradients. That is arithmetic: a GPU at
a tenth of an H100's peak, a ring of 400 Gbit/s, every gradient of the whole space sent, nothing
overlapped.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import optuna
import torch

from benchmarks.common import paper_preset, write_rows
from benchmarks.speed.search_overhead import fill, spaces
from hnas.cost.flops import cost
from hnas.network.supernet import Supernet
from hnas.studies.plan.toml import PRESETS
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.pareto import front
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records

MILLION = 1_000_000
GPUS = 64
FLOPS = 0.1 * 989e12
"""Operations a second of one GPU, two a multiply-accumulate: a tenth of bf16's peak."""
LINK = 400e9 / 8
"""Bytes a second from each GPU to the next."""
HELD_OUT = {"digits": 287, "fashion-mnist": 1000, "cifar10": 5000}
"""Images that a preset scores on, of its data; the others have ImageNet's hundredth."""


@dataclass(frozen=True, kw_only=True)
class Slope:
    """What grows with the trials of a study."""

    what: str
    params: int
    """Of a trial: 12 in stage 1, 48 in stage 2."""
    unit: str
    points: dict[int, float]
    """By the number of trials."""

    @property
    def each(self) -> float:
        """A further trial's: between the smallest study and the largest."""
        (x0, y0), *_, (x1, y1) = self.points.items()
        return (y1 - y0) / (x1 - x0)


def cpu(call: Callable[[], object], repeats: int = 3) -> float:
    """Median CPU seconds of a call."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        call()
        times.append(time.process_time() - began)
    return statistics.median(times)


def held(call: Callable[[], object]) -> int:
    """Bytes that what the call returns takes."""
    tracemalloc.start()
    kept = call()
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    return size


def grown(sizes: Sequence[int]) -> list[Slope]:
    """A study of each number of trials, for both stages."""
    made = []
    for params, space in spaces().items():
        points: dict[tuple[str, str], dict[int, float]] = {}

        def note(what: str, unit: str, trials: int, value: float) -> None:
            points.setdefault((what, unit), {})[trials] = value  # noqa: B023  # called in the loop

        for trials in sizes:
            with tempfile.TemporaryDirectory(prefix="hnas-bench-") as folder:
                file = Path(folder) / "study.db"
                storage = open_storage(f"sqlite:///{file}", create=True)
                study = open_study(storage, "bench", create=True)
                began = time.process_time()
                fill(study, space, trials)
                note("storing", "s CPU", trials, time.process_time() - began)
                found = records(study)
                assert len(found) == trials
                note("reading, as hnas resumes", "s CPU", trials, cpu(lambda: records(study)))  # noqa: B023
                note(
                    "reading, as Optuna does", "s CPU", trials, cpu(_stock(f"sqlite:///{file}"), 1)
                )
                note("the front among all", "s CPU", trials, cpu(lambda: front(found)))  # noqa: B023
                note("memory of the trials", "bytes", trials, held(lambda: records(study)))  # noqa: B023
                close_storage(storage)
                note("disk", "bytes", trials, file.stat().st_size)
        made += [
            Slope(what=what, params=params, unit=unit, points=values)
            for (what, unit), values in points.items()
        ]
    return made


def _stock(url: str) -> Callable[[], object]:
    def read() -> object:
        return optuna.load_study(study_name="bench", storage=url).get_trials()

    return read


def presets(names: Sequence[str]) -> list[dict[str, Any]]:
    """Bytes that go to a worker, and between processes, by preset."""
    rows = []
    for name in names:
        plan = paper_preset(name)
        net = plan.net
        with torch.device("meta"):
            first, second = (
                4 * sum(weight.numel() for weight in Supernet(space).parameters())
                for space in (plan.space1(), plan.space2())
            )
        images = HELD_OUT.get(name, 12_800) + plan.score.recalibration
        training = plan.stage1.training
        macs = cost(net, net.all_global()).macs
        rows.append(
            {
                "preset": name,
                "supernet, stage 1 (bytes)": first,
                "supernet, whole space (bytes)": second,
                "images scored on (bytes)": images * net.channels * net.image**2,
                "micro-batches a step": training.batch // (training.micro_batch or training.batch),
                "64 GPUs: computing a step (ms)": 1e3 * 6 * macs * training.batch / GPUS / FLOPS,
                "64 GPUs: exchanging it (ms)": 1e3 * 2 * (GPUS - 1) / GPUS * second / LINK,
            }
        )
    return rows


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    slopes = grown((20, 40) if options.quick else (1000, 3000, 10_000))
    for one in slopes:
        cells = "  ".join(f"{trials:,}: {value:,.3f}" for trials, value in one.points.items())
        steps = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(one.points.items())]
        print(
            f"{one.what:26} {one.params} params  {one.unit:6} {cells}  each {one.each:.3g} "
            f"({', '.join(f'{step:.3g}' for step in steps)})  a million {MILLION * one.each:,.0f}"
        )
    counted = presets(PRESETS[:1] if options.quick else PRESETS)
    for row in counted:
        cells = (
            f"{key} {value:,.4g}" if isinstance(value, float) else f"{key} {value:,}"
            for key, value in row.items()
            if key != "preset"
        )
        print(f"{row['preset']:14}", *cells, sep="  ")
    if options.json:
        rows: list[dict[str, object]] = [{**asdict(one), "each": one.each} for one in slopes]
        write_rows(
            options.json, [*rows, *counted], options.threads, "python -m benchmarks.speed.scale"
        )


if __name__ == "__main__":
    main()
