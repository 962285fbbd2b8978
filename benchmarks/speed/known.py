"""What it costs to know images by their pixels: hashes, beside the time that loading takes.

    python -m benchmarks.speed.known

Photographs of 500 x 375 pixels as JPEG in class folders, loaded at 224 pixels as a search does, and
images of 28 x 28 as IDX, which need no decoding. Each is loaded and hashed in turn; the table has
the fastest of both, on one thread. Twice the images must take twice the time: the cost is linear.
"""

from __future__ import annotations

import gzip
import struct
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hnas.data.known import known
from hnas.data.sources.load import load

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


def idx(folder: Path, count: int) -> None:
    """Files as MNIST has them."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for name, values in (
        ("train-images-idx3-ubyte", rng.integers(0, 256, (count, 28, 28), dtype=np.uint8)),
        ("train-labels-idx1-ubyte", rng.integers(0, 10, count, dtype=np.uint8)),
    ):
        head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
        (folder / f"{name}.gz").write_bytes(gzip.compress(head + values.tobytes(), 1))


def fastest(do: Callable[[], object]) -> float:
    """Seconds."""
    found = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        do()
        found.append(time.perf_counter() - began)
    return min(found)


def main() -> None:
    torch.set_num_threads(1)
    print("| images | loading, s | hashes, s | share |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as place:
        for what, write, count, image, channels in (
            ("JPEG, 224 pixels", photographs, 200, 224, 3),
            ("JPEG, 224 pixels", photographs, 400, 224, 3),
            ("IDX, 28 pixels", idx, 10_000, 28, 1),
            ("IDX, 28 pixels", idx, 60_000, 28, 1),
        ):
            folder = Path(place) / f"{what} {count}"
            write(folder, count)

            def read(folder: Path = folder, image: int = image, channels: int = channels) -> object:
                return load(str(folder), image=image, channels=channels)

            loading = fastest(read)
            source = load(str(folder), image=image, channels=channels)
            hashing = fastest(lambda source=source: known(source).fingerprint)  # type: ignore[misc]
            share = f"{hashing / loading:.1%}"
            print(f"| {count:,} {what} | {loading:.3f} | {hashing:.4f} | {share} |")


if __name__ == "__main__":
    main()
