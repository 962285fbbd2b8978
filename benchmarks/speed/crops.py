"""How fast random crops come from JPEGs, from a pack of whole pictures and from one of squares,
beside what a training step takes of them.

    python -m benchmarks.speed.crops [--quick] [--threads 1] [--json FILE]

JPEGs of 500 x 375 pixels, as `benchmarks.speed.loader` makes them; crops as DeiT's, of 8% to all of
the area, to 224 pixels, bicubic. All is run in turn, round by round, and counted in seconds of CPU:
so many cores a device keeps busy that takes the images of `python -m benchmarks.speed.cost_model`.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.common import report
from benchmarks.speed.loader import jpegs
from hnas.data import Images, augmented
from hnas.data.size import Size
from hnas.data.sources.folders import listing
from hnas.data.sources.pack import open_pack
from hnas.data.sources.packing import pack
from hnas.data.whole import boxes
from hnas.settings import AugmentRules

TAKEN = {"H100, supernet": 1024 / 0.083, "H100, retraining": 1024 / 0.109}
"""Images a second that steps of glit-tiny take at most, by `benchmarks.speed.cost_model`."""
SMALLEST = 0.08
MEAN = torch.full((3,), 0.5)


@dataclass(frozen=True, kw_only=True)
class Row:
    name: str
    images_per_cpu_second: float
    """Median over the rounds, of this process, all threads together."""
    lowest: float
    highest: float
    kilobytes: float
    """Of an image, on the disk."""
    cores: dict[str, float]
    """That a device keeps busy, of those in TAKEN."""


def from_jpegs(folder: Path, image: int, seeds: Iterator[int]) -> int:
    """As DeiT's loader: all of the file is decoded, at its own size."""
    seed, count = next(seeds), 0
    for path in sorted(folder.rglob("*.jpg")):
        with Image.open(path) as file:
            picture = file.convert("RGB")
        shape = np.array([picture.size[::-1]])
        top, left, height, width = boxes(shape, SMALLEST, seed + count)[0].tolist()
        part = picture.crop((left, top, left + width, top + height))
        np.asarray(part.resize((image, image), Image.Resampling.BICUBIC))
        count += 1
    return count


def from_pack(images: Images, rules: AugmentRules, seeds: Iterator[int]) -> int:
    n = len(images)
    order = torch.from_numpy(np.random.default_rng(next(seeds)).permutation(n)).split(128)
    return sum(map(len, augmented(images, order, rules, range(len(order)), mean=MEAN)))


def packed(folder: Path, to: Path, image: int, *, side: int) -> tuple[Images, float]:
    """A pack's images as a training has them, and the kilobytes of one."""
    size = Size(side, 3, interpolation="bicubic", whole=side != image)
    pack(listing(folder), to, size)
    seen = Size(image, 3, interpolation="bicubic", crop_pct=image / side)
    images = open_pack(to).images("train").fit(seen)
    size_on_disk = sum(path.stat().st_size for path in to.glob("train-*.u8"))
    return images, size_on_disk / len(images) / 1e3


def rows(quick: bool, place: Path) -> list[Row]:
    count, of, rounds, image = (8, (80, 60), 1, 28) if quick else (500, (500, 375), 5, 224)
    folder = jpegs(place / "jpegs", count, of)
    weight = sum(path.stat().st_size for path in folder.rglob("*.jpg")) / count / 1e3
    whole, whole_bytes = packed(folder, place / "whole", image, side=image * 8 // 7)
    squares, square_bytes = packed(folder, place / "squares", image, side=image)
    crop, seeds = AugmentRules(crop=SMALLEST), itertools.count()
    work: dict[str, tuple[float, Callable[[], int]]] = {
        f"JPEGs of {of[0]} x {of[1]}, decoded": (weight, partial(from_jpegs, folder, image, seeds)),
        "a pack of whole pictures": (whole_bytes, partial(from_pack, whole, crop, seeds)),
        "a pack of squares, cropped by a step": (
            square_bytes,
            partial(from_pack, squares, crop, seeds),
        ),
        "a pack of squares, not cropped": (
            square_bytes,
            partial(from_pack, squares, AugmentRules(), seeds),
        ),
    }
    found: dict[str, list[float]] = {name: [] for name in work}
    for i in range(rounds + 1):
        for name, (_, run) in work.items():
            began = time.process_time()
            images = run()
            if i:  # the first warms up
                found[name].append(images / (time.process_time() - began))
    return [
        Row(
            name=name,
            images_per_cpu_second=(median := statistics.median(each)),
            lowest=min(each),
            highest=max(each),
            kilobytes=work[name][0],
            cores={device: taken / median for device, taken in TAKEN.items()},
        )
        for name, each in found.items()
    ]


def measure(quick: bool) -> list[Row]:
    with tempfile.TemporaryDirectory() as place:
        return rows(quick, Path(place))


def line(row: Row) -> str:
    cores = ", ".join(f"{device} {each:.2g}" for device, each in row.cores.items())
    return (
        f"{row.name:38} {row.images_per_cpu_second:8,.0f} images a CPU second "
        f"({row.lowest:,.0f} to {row.highest:,.0f}), {row.kilobytes:,.0f} kB an image; "
        f"cores for {cores}"
    )


if __name__ == "__main__":
    report(measure, lambda rows: "\n".join(map(line, rows)), asdict, __doc__)
