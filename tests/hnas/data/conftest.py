"""Real files of every format, written by the test itself."""

from __future__ import annotations

import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PACK = {".gz": gzip.compress, ".xz": lzma.compress}
SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def write(path: Path, content: bytes) -> Path:
    """Packed by its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(PACK.get(path.suffix, bytes)(content))
    return path


@pytest.fixture
def write_idx() -> Callable[..., Path]:
    def write_idx(path: Path, array: np.ndarray, *, magic: int | None = None) -> Path:
        magic = 0x800 + array.ndim if magic is None else magic
        header = struct.pack(f">{1 + array.ndim}I", magic, *array.shape)
        return write(path, header + array.astype(np.uint8).tobytes())

    return write_idx


@pytest.fixture
def mnist(tmp_path: Path, write_idx: Callable[..., Path]) -> Path:
    """12 + 4 images of 6 x 6, image i all of value 10 i, labels 0 1 2 0 1 2 ..."""
    folder = tmp_path / "mnist"
    for part, n in (("train", 12), ("t10k", 4)):
        images = np.arange(n)[:, None, None].repeat(6, 1).repeat(6, 2) * 10
        write_idx(folder / f"{part}-images-idx3-ubyte", images)
        write_idx(folder / f"{part}-labels-idx1-ubyte", np.arange(n) % 3)
    return folder


@pytest.fixture
def write_cifar() -> Callable[..., Path]:
    def write_cifar(path: Path, labels: list[int], *, coarse: bool = False) -> Path:
        """Record i: red i, green 100 + i, blue 200 + i; a coarse label is 19 - the fine one."""
        content = b""
        for i, label in enumerate(labels):
            content += bytes([19 - label, label] if coarse else [label])
            content += b"".join(bytes([value + i]) * 1024 for value in (0, 100, 200))
        return write(path, content)

    return write_cifar


@pytest.fixture
def write_image() -> Callable[..., Path]:
    def write_image(path: Path, array: np.ndarray, **options: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(path, **options)
        return path

    return write_image


@pytest.fixture
def pets(tmp_path: Path, write_image: Callable[..., Path]) -> Path:
    """train/{cat,dog}: 3 images each, val/{cat,dog}: 1 each; cats are dark, dogs are bright."""
    folder = tmp_path / "pets"
    for part, n in (("train", 3), ("val", 1)):
        for name, value in (("cat", 20), ("dog", 220)):
            for i, suffix in zip(range(n), (".jpg", ".JPEG", ".Png"), strict=False):
                array = np.full((12 + i, 10, 3), value + i, dtype=np.uint8)
                write_image(folder / part / name / f"{i}{suffix}", array)
    return folder


@pytest.fixture
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip("needs the real images of ../shared/data, which are not here")
    return SHARED
