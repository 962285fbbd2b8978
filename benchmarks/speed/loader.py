"""How fast images come from JPEGs and from a pack, beside what a training step takes of them.

    python -m benchmarks.speed.loader [--quick] [--threads 1] [--json FILE]

JPEGs of 500 x 375 pixels, ImageNet's usual size, are made of those in $HNAS_DATA (or
../shared/data; noise where there are none). All that is compared is run in turn, round by round. A
second part gives the peak memory of packing, and of training on a pack that is larger than that.
"""

from __future__ import annotations

import itertools
import multiprocessing
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.common import paper_preset, report
from hnas.architecture.space import Frame, distribution_space
from hnas.cost.flops import cost
from hnas.machine import peak_memory
from hnas.settings import AugmentRules, DataRules, ScoreRules, TrainingRules

if TYPE_CHECKING:
    from hnas.data import Data
    from hnas.data.on_disk import OnDisk

CLASSES = 4
H100 = 989e12
"""Floating point operations a second of an H100 SXM's dense bf16 matrix products, by its maker."""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """One kind of work."""

    name: str
    images_per_second: float
    """Median over the rounds."""
    lowest: float
    highest: float
    megabytes_per_second: float
    """Decoded, at the median."""
    images_per_cpu_second: float | None
    """Of this process, all threads together: what other programs do meanwhile is not in it. None
    where other processes work too."""
    rounds: int
    """0: not measured, arithmetic."""


@dataclass(frozen=True, kw_only=True)
class Memory:
    """By how much work on many images raises the peak memory of a process that has done the same
    on FEW."""

    name: str
    images: int
    decoded_megabytes: float
    """Of 10^6 bytes: the images."""
    megabytes: float


# Images


def pictures() -> list[Path]:
    """Real JPEGs, where there are some."""
    places = [os.environ.get("HNAS_DATA", ""), "../shared/data", "../../shared/data"]
    found = (sorted(Path(place).glob("imagefolder-*/*/*/*.jpg")) for place in places if place)
    return next((paths for paths in found if paths), [])


def jpegs(folder: Path, count: int, size: tuple[int, int]) -> Path:
    """`count` different JPEGs of this size, in class folders."""
    rng = np.random.default_rng(0)
    sources = pictures()
    rng.shuffle(sources)  # type: ignore[arg-type]
    for i in range(count):
        if sources:
            picture = Image.open(sources[i % len(sources)]).convert("RGB")
        else:
            picture = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        picture = ImageOps.fit(picture, size, Image.Resampling.BICUBIC)
        turn = i // max(len(sources), 1)
        picture = ImageOps.mirror(picture) if turn % 2 else picture
        picture = ImageEnhance.Brightness(picture).enhance(1 + 0.05 * turn)
        place = folder / f"class{i % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        picture.save(place / f"{i:06}.jpg", quality=92)
    return folder


def packed(folder: Path, to: Path, image: int, channels: int, processes: int = 1) -> Path:
    """In shards of 100 images: a shard is one process's work."""
    from hnas.data.size import Size
    from hnas.data.sources.folders import listing
    from hnas.data.sources.packing import pack

    shard = 100 * channels * image**2
    pack(listing(folder), to, Size(image, channels), processes=processes, shard_bytes=shard)
    return to


def stored(pack: Path) -> OnDisk:
    from hnas.data.on_disk import OnDisk
    from hnas.data.sources.pack import open_pack

    pixels = open_pack(pack).images("train").pixels
    assert isinstance(pixels, OnDisk)
    return pixels


# What is timed: each returns how many images it took


def decode(folder: Path, place: Path, image: int, processes: int) -> int:
    to = place / f"timed{processes}"
    shutil.rmtree(to, ignore_errors=True)
    packed(folder, to, image, 3, processes)
    return sum(1 for _ in folder.rglob("*.jpg"))


def _order(n: int, batch: int, seed: int) -> list[np.ndarray]:
    order = np.random.default_rng(seed).permutation(n)
    return [order[i : i + batch] for i in range(0, n, batch)]


def read(pixels: OnDisk, batch: int, seeds: Iterator[int], cold: bool = False) -> int:
    import torch

    if cold:
        for path in pixels.files:
            file = os.open(path, os.O_RDONLY)
            os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(file)
    order = [torch.from_numpy(index) for index in _order(len(pixels), batch, next(seeds))]
    return sum(len(taken) for taken in pixels.fetch(order))


def gather(pixels: OnDisk, batch: int, seeds: Iterator[int]) -> int:
    """As `read`, but through numpy.memmap; the files are mapped once."""
    maps = [np.memmap(path, np.uint8, "r").reshape(-1, *pixels.image) for path in pixels.files]
    count = 0
    for index in _order(len(pixels), batch, next(seeds)):
        target = np.empty((len(index), *pixels.image), np.uint8)
        numbers = np.searchsorted(pixels.starts, index, side="right") - 1
        for place, (number, row) in enumerate(zip(numbers, index, strict=True)):
            target[place] = maps[number][row - pixels.starts[number]]
        count += len(target)
    return count


def training(preset: str, data: Data, batch: int) -> Callable[[], int]:
    """An epoch of stage 1's supernet."""
    from hnas.network.supernet import Supernet
    from hnas.training.supernet import train_supernet

    plan = paper_preset(preset)
    net = Supernet(plan.space1()).reset(0)
    rules = replace(plan.stage1.training, epochs=1, batch=batch, micro_batch=0)

    def run() -> int:
        train_supernet(net, data, rules, plan.augment, seed=0)
        return len(data.train) // batch * batch

    return run


def both(preset: str, pack: Path, batch: int, images: int) -> dict[str, Callable[[], int]]:
    """Training on the same images, from the pack and from memory."""
    import torch

    from hnas.data import Data, Images

    pixels = stored(pack).take(torch.arange(images))
    labels = torch.arange(images) % CLASSES
    made: dict[str, Callable[[], int]] = {}
    for where, held in (("the pack", pixels), ("memory", pixels[torch.arange(images)])):
        train = Images(pixels=held, labels=labels)
        some = train.take(torch.arange(2))
        mean, std = (torch.full((pixels.image[0],), value) for value in (0.5, 0.3))
        data = Data(train=train, held_out=some, classes=tuple("abcd"), mean=mean, std=std)
        made[f"training {preset} from {where}, batch {batch}"] = training(preset, data, batch)
    return made


def rates(quick: bool, place: Path) -> list[Rate]:
    count, size, rounds = (16, (80, 60), 1) if quick else (2000, (500, 375), 5)
    folder = jpegs(place / "jpegs", count, size)
    weight = sum(path.stat().st_size for path in folder.rglob("*.jpg")) / count
    what = f"JPEGs of {size[0]} x {size[1]}, {weight / 1e3:.0f} kB"
    presets = {"digits": (16, 16)} if quick else {
        "digits": (128, 512),
        "fashion-mnist": (128, 512),
        "cifar10": (128, 256),
        "glit-tiny": (16, 48),
    }  # fmt: skip
    image, seeds = 32 if quick else 224, itertools.count()
    whole = stored(packed(folder, place / "whole", image, 3))
    work: dict[str, tuple[int, Callable[[], int]]] = {}
    for processes in (1, 2):
        run = partial(decode, folder, place, image, processes)
        work[f"decoding {what}, {processes} processes"] = (3 * image**2, run)
    for name, how in (
        ("the pack", partial(read, whole, 128, seeds)),
        ("the pack, not in the page cache", partial(read, whole, 128, seeds, cold=True)),
        ("the pack by numpy.memmap", partial(gather, whole, 128, seeds)),
    ):
        work[f"reading {image} pixels from {name}"] = (3 * image**2, how)
    for preset, (batch, images) in presets.items():
        net = paper_preset(preset).net
        to = packed(folder, place / preset, net.image, net.channels)
        of_image = net.channels * net.image**2
        work[f"reading {preset}'s images from the pack"] = (
            of_image,
            partial(read, stored(to), batch, seeds),
        )
        for name, how in both(preset, to, batch, min(images, count)).items():
            work[name] = (of_image, how)

    def alone(name: str) -> bool:
        return "2 processes" not in name

    found: dict[str, list[float]] = {name: [] for name in work}
    by_cpu: dict[str, list[float]] = {name: [] for name in work}
    for i in range(rounds + 1):
        for name, (_, run) in work.items():
            began, cpu = time.perf_counter(), time.process_time()
            images = run()
            if i:  # the first warms up
                found[name].append(images / (time.perf_counter() - began))
                by_cpu[name].append(images / (time.process_time() - cpu))
    return [
        Rate(
            name=name,
            images_per_second=statistics.median(each),
            lowest=min(each),
            highest=max(each),
            megabytes_per_second=statistics.median(each) * work[name][0] / 1e6,
            images_per_cpu_second=statistics.median(by_cpu[name]) if alone(name) else None,
            rounds=rounds,
        )
        for name, each in found.items()
    ] + arithmetic()


def arithmetic() -> list[Rate]:
    """What an H100 would take of GLiT-Tiny's images at shares of its peak: forward and backward
    are three times the forward's multiply-accumulates, each two operations."""
    net = paper_preset("glit-tiny").net
    operations = 6 * cost(net, net.all_global()).macs
    made = []
    for share in (0.1, 0.2, 0.4):
        each = share * H100 / operations
        made.append(
            Rate(
                name=f"arithmetic: glit-tiny, all-global, on an H100 at {share:.0%} of its peak",
                images_per_second=each,
                lowest=each,
                highest=each,
                megabytes_per_second=each * net.channels * net.image**2 / 1e6,
                images_per_cpu_second=None,
                rounds=0,
            )
        )
    return made


# Memory


def _search(source: str, image: int) -> None:
    """What a search does with images: it splits, trains, scores and evaluates."""
    from hnas.data import prepare
    from hnas.network.glit import Glit
    from hnas.network.supernet import Supernet
    from hnas.scoring.score import evaluate, scores
    from hnas.training.supernet import train_supernet

    frame = Frame(image=image, channels=3, patch=image // 7, classes=10, d=12, M=1, N=3)
    data, _ = prepare(DataRules(source=source), image=image, channels=3, seed=0)
    net = Supernet(distribution_space(frame, d_k=12, d_z=2, E=1, K=3)).reset(0)
    train_supernet(net, data, TrainingRules(epochs=1, batch=32), AugmentRules(flip=True), seed=0)
    space, rules = net.space, ScoreRules(recalibration=32, held_out=32, batch=32)
    list(scores(net, [space.sample(np.random.default_rng(0))], data, rules))
    evaluate(Glit(frame, frame.all_global()).reset(0), data.held_out, data, batch=32)


FEW = 200


def _peaks(folders: dict[int, Path], packs: dict[int, Path], image: int) -> dict[str, float]:
    """By how many megabytes each work on many images raised the peak of this process, which had
    done it on few. What is last shows that it would be seen where all were held."""
    import torch

    torch.set_num_threads(1)
    few, many = sorted(folders)
    packed(folders[few], packs[few], image, 3)
    peaks = [peak_memory()]
    packed(folders[many], packs[many], image, 3)
    peaks.append(peak_memory())
    _search(str(packs[few]), image)
    before = peak_memory()
    _search(str(packs[many]), image)
    after = peak_memory()
    _search(str(folders[many]), image)
    grown = {
        "packing": peaks[1] - peaks[0],
        "training from the pack": after - before,
        "training from memory": peak_memory() - after,
    }
    return {work: each / 1e6 for work, each in grown.items()}


def memory(quick: bool, place: Path) -> list[Memory]:
    count, size, image = (1500, (12, 9), 224) if quick else (3000, (500, 375), 224)
    folders = {n: jpegs(place / f"of{n}", n, size) for n in (FEW, count)}
    packs = {n: place / f"pack{n}" for n in folders}
    # Else glibc keeps what batches leave, or not, by chance: up to a hundred megabytes of noise.
    with (
        mock.patch.dict(os.environ, MALLOC_MMAP_THRESHOLD_=str(2**20)),
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool,
    ):
        grown = pool.submit(_peaks, folders, packs, image).result()
    decoded = count * 3 * image**2 / 1e6
    return [
        Memory(name=work, images=count, decoded_megabytes=decoded, megabytes=megabytes)
        for work, megabytes in grown.items()
    ]


def measure(quick: bool) -> list[Rate | Memory]:
    with tempfile.TemporaryDirectory() as place:
        return [*rates(quick, Path(place)), *memory(quick, Path(place))]


def line(row: Rate | Memory) -> str:
    if isinstance(row, Memory):
        return (
            f"{row.name:30} {row.images:,} images, {row.decoded_megabytes:,.0f} MB decoded: the "
            f"peak memory rises by {row.megabytes:,.0f} MB above that with {FEW} images"
        )
    by_cpu = row.images_per_cpu_second
    return (
        f"{row.name:72} {row.images_per_second:9,.0f} images/s "
        f"({row.lowest:,.0f} to {row.highest:,.0f}), {row.megabytes_per_second:,.0f} MB/s"
        + (f", {by_cpu:,.0f} images a CPU second" if by_cpu else "")
    )


if __name__ == "__main__":
    report(measure, lambda rows: "\n".join(map(line, rows)), asdict, __doc__)
