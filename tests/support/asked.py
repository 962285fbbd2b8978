"""What each reader of images takes and what it asks for, in MB: `python -m tests.support.asked TO`.

A process of its own: what others have held before says nothing then.
"""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from hnas.data import load, prepare
from hnas.data.sources import arrays, files
from hnas.data.sources.given import give
from hnas.settings import DataRules
from tests.hnas.data.sources import test_unlabelled as kinds
from tests.support.peak import held, peak_of

N, SIDE = 100, 384
LABELS = [i % 2 for i in range(N)]


def idx(root: Path) -> str:
    for name, values in (
        ("train-images-idx3-ubyte", np.zeros((N, SIDE, SIDE), np.uint8)),
        ("train-labels-idx1-ubyte", np.array(LABELS, np.uint8)),
    ):
        head = struct.pack(f">HBB{values.ndim}I", 0, 8, values.ndim, *values.shape)
        (root / name).write_bytes(head + values.tobytes())
    return str(root)


def cifar(root: Path) -> str:
    for i in range(3):
        records = np.zeros((5000, 3073), np.uint8)
        records[:, 0] = np.arange(len(records)) % 2
        records.tofile(root / f"data_batch_{i + 1}.bin")
    return str(root)


def folders(root: Path) -> str:
    for i, label in enumerate(LABELS):
        (root / str(label)).mkdir(exist_ok=True)
        (root / str(label) / f"{i}.png").write_bytes(kinds.png(i))
    return str(root)


def parts(root: Path) -> str:
    """Three, of which two are learnt from: in one array."""
    given = {"train": LABELS[: N // 2], "dev": LABELS[: N // 4], "test": LABELS[: N // 4]}
    return kinds.made(root, kinds.pairs, given)


def large_rows(root: Path) -> str:
    """Parquet whose only group of rows has more bytes than its images have decoded."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    noise, content = np.random.default_rng(0), []
    for _ in range(N):
        file = io.BytesIO()
        pixels = noise.integers(0, 256, (600, 600, 3), np.uint8)
        Image.fromarray(pixels).save(file, "BMP")
        content.append(file.getvalue())
    pq.write_table(pa.table({"image": content, "label": LABELS}), root / "train.parquet")
    return str(root)


def function(root: Path) -> str:
    (root / "mine.py").write_text(
        f"import numpy as np\nX = np.zeros(({N}, {SIDE}, {SIDE}, 3), np.uint8)\n"
        f"def images(): return X, {LABELS}\n"
    )
    sys.path.insert(0, str(root))
    return "mine:images"


def floats(root: Path) -> str:
    return give((np.zeros((N, SIDE, SIDE, 3), np.float32), LABELS))


def larger(root: Path) -> str:
    return give((np.zeros((N, 2 * SIDE, 2 * SIDE, 3), np.uint8), LABELS))


def in_files(write: kinds.Write) -> Callable[[Path], str]:
    return lambda root: kinds.made(root, write, {"train": LABELS})


READERS: dict[str, Callable[[Path], str]] = {
    **{write.__name__: in_files(write) for write in (kinds.csv_table, kinds.tar, kinds.pairs)},
    **{write.__name__: write for write in (folders, parts, idx, cifar)},
    **{write.__name__: write for write in (large_rows, function, floats, larger)},
}


def measured(root: Path, write: Callable[[Path], str], side: int) -> tuple[int, int]:
    """The peak of a preparation, and the most that was held or asked for: bytes."""
    rules = DataRules(source=write(root))
    load(rules.source, image=8, channels=3)  # what is imported when it is needed
    before, plain = held(), files.ask
    promised = []

    def ask(name: str, images: int, needed: int, advice: str) -> None:
        promised.append(held() - before + needed)
        plain(name, images, needed, advice)

    files.ask = arrays.ask = ask  # type: ignore[attr-defined]
    try:
        peak = peak_of(lambda: prepare(rules, image=side, channels=3, seed=0))
    finally:
        files.ask = arrays.ask = plain  # type: ignore[attr-defined]
    return peak, max(promised)


if __name__ == "__main__":
    for name, write in READERS.items():
        root = Path(sys.argv[1]) / name
        root.mkdir()
        found = measured(root, write, 64 if write is cifar else SIDE)
        print(name, *(value // 10**6 for value in found), sep=",")
