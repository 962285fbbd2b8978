"""What it costs to know images by their pixels: hashes, beside what a search does to have images.

    python -m benchmarks.speed.known

Photographs of 500 x 375 pixels as JPEG in class folders, read at 224 pixels; images of 28 x 28 as
IDX, compressed as MNIST is published, and raw. All on one thread, the fastest of some rounds.
`read` is what `load` does: files become pixels. `prepared` is what a search waits for:
reading, splitting, mean and deviation, notes. Each has the hashes' share of it. Twice the images
must take twice the time: the cost is linear. At most 5% of `prepared` is the aim.

Times are of the CPU: they hold on a machine that does other things too.

Raw files need no decoding: reading is a copy of memory, and no hash of all bytes can be a small
part of a copy. The last table therefore has hashes beside a copy, beside the least that can be done
with each byte and beside other hashes.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hnas.data.hashing import hashes
from hnas.data.known import known
from hnas.data.prepare import prepare
from hnas.data.sources.load import load
from hnas.settings import DataRules

ROUNDS = 3


def photographs(folder: Path, count: int) -> None:
    """JPEG files of smooth noise, whose size is that of photographs."""
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)
        place = folder / f"class {i % 2}"
        place.mkdir(parents=True, exist_ok=True)
        picture = Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
        picture.save(place / f"{i}.jpg", quality=90)


def garments(count: int) -> np.ndarray:
    """uint8 (count, 28, 28): half of it ground, the rest noise, as large compressed as the images
    of Fashion-MNIST."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)
    pixels[:, :, :6] = pixels[:, :, 22:] = 0
    return pixels


def idx(folder: Path, count: int, *, raw: bool) -> None:
    """Files as MNIST has them."""
    rng = np.random.default_rng(1)
    folder.mkdir()
    for name, values in (
        ("train-images-idx3-ubyte", garments(count)),
        ("train-labels-idx1-ubyte", rng.integers(0, 10, count, dtype=np.uint8)),
    ):
        head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
        content = head + values.tobytes()
        if raw:
            (folder / name).write_bytes(content)
        else:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))


def fastest(do: Callable[[], object]) -> float:
    """Seconds of the CPU."""
    found = []
    for _ in range(ROUNDS):
        began = time.process_time()
        do()
        found.append(time.process_time() - began)
    return min(found)


def measured(folder: Path, *, image: int, channels: int) -> tuple[float, float, float]:
    """Seconds to read the images, to prepare them, and for their hashes."""
    rules = DataRules(source=str(folder))
    source = load(str(folder), image=image, channels=channels)
    return (
        fastest(lambda: load(str(folder), image=image, channels=channels)),
        fastest(lambda: prepare(rules, image=image, channels=channels, seed=0)),
        fastest(lambda: known(source).fingerprint),
    )


def shares() -> None:
    print("| images | read, s | prepared, s | hashes, s | share of read | of prepared |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        for what, count, image, channels in (
            ("JPEG, 224 pixels", 200, 224, 3),
            ("JPEG, 224 pixels", 400, 224, 3),
            ("IDX, gz", 30_000, 28, 1),
            ("IDX, gz", 60_000, 28, 1),
            ("IDX, raw", 30_000, 28, 1),
            ("IDX, raw", 60_000, 28, 1),
        ):
            folder = Path(place) / f"{what} {count}"
            if "JPEG" in what:
                photographs(folder, count)
            else:
                idx(folder, count, raw="raw" in what)
            read, prepared, hashing = measured(folder, image=image, channels=channels)
            print(
                f"| {count:,} {what} | {read:.3f} | {prepared:.3f} | {hashing:.4f} "
                f"| {hashing / read:.1%} | {hashing / prepared:.1%} |"
            )


def others() -> None:
    """The hash that is used, and what else there is, each image by itself."""
    pixels = garments(60_000).reshape(60_000, -1)
    print("\n| 60,000 images of 784 bytes | ms |\n|---|---|")
    for name, do in (
        ("a copy of them", pixels.copy),
        ("the largest byte of all", pixels.max),
        ("hashes", lambda: hashes(pixels)),
        ("crc32 and adler32", lambda: [(zlib.crc32(p), zlib.adler32(p)) for p in pixels]),
        ("sha1", lambda: [hashlib.sha1(p).digest() for p in pixels]),
        ("sha256", lambda: [hashlib.sha256(p).digest() for p in pixels]),
        ("blake2b", lambda: [hashlib.blake2b(p, digest_size=8).digest() for p in pixels]),
        ("sha256 of all as one", lambda: hashlib.sha256(pixels).digest()),
    ):
        print(f"| {name} | {1e3 * fastest(do):.1f} |")


if __name__ == "__main__":
    torch.set_num_threads(1)
    shares()
    others()
