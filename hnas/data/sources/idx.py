"""IDX files, as MNIST and Fashion-MNIST come in.

A big-endian header of 32-bit words (magic number, then one size a dimension), then the bytes:
0x803, n, H, W and n x H x W pixels; 0x801, n and n labels (http://yann.lecun.com/exdb/mnist).
"""

import math
import struct
from dataclasses import replace
from pathlib import Path

import torch

from hnas.data.images import Images, Source
from hnas.data.sources.read import find, read
from hnas.errors import InputError

IMAGES, LABELS = "images-idx3-ubyte", "labels-idx1-ubyte"


def matches(folder: Path) -> bool:
    """True if the folder holds any of the four files."""
    return any(_find(folder, part, kind) for part in ("train", "t10k") for kind in (IMAGES, LABELS))


def load(folder: Path) -> Source:
    """The folder's images at their own size. Raises InputError naming what is missing or torn."""
    train = _part(folder, "train")
    if train is None:
        raise InputError(f"{folder}: 'train-{IMAGES}' (or .gz, .xz) is needed and is missing")
    test, classes = _part(folder, "t10k"), train.numbers
    notes: tuple[str, ...] = ()
    if int(train.labels.min()) == 1:  # as EMNIST's letters do
        notes = (f"its labels count from 1: the classes are 1 to {classes[-1]}",)
        train, test = _from_zero(train), test and _from_zero(test)
        classes = classes[1:]
    return Source(name=str(folder), train=train, test=test, classes=classes, notes=notes)


def _from_zero(images: Images) -> Images:
    return replace(images, labels=images.labels - 1)


def read_idx(path: Path, *, dims: int) -> torch.Tensor:
    """The uint8 tensor of `dims` dimensions in one file.

    Nothing is allocated from the header: it is compared with the bytes that are there.
    Raises InputError naming the file, the rule and the value.
    """
    content = read(path)
    header = 4 + 4 * dims
    if len(content) < header:
        raise InputError(f"{path}: an IDX header has {header} bytes, got {len(content)}")
    magic, *shape = struct.unpack_from(f">{1 + dims}I", content)
    if magic != 0x800 + dims:
        raise InputError(
            f"{path}: the magic number must be {0x800 + dims:#06x} "
            f"(unsigned bytes in {dims} dimensions), got {magic:#06x}"
        )
    sizes = " x ".join(map(str, shape))
    if min(shape) < 1:
        raise InputError(f"{path}: every size must be at least 1, the header says {sizes}")
    if math.prod(shape) != len(content) - header:
        raise InputError(
            f"{path}: the header says {sizes} = {math.prod(shape):,} bytes, "
            f"{len(content) - header:,} follow it; fetch it again"
        )
    return torch.frombuffer(content, dtype=torch.uint8, offset=header).view(shape)


def _find(folder: Path, part: str, kind: str) -> Path | None:
    return find(folder, f"{part}-{kind}", f"{part}-{kind.replace('-', '.', 1)}")


def _part(folder: Path, part: str) -> Images | None:
    pixels_path, labels_path = (_find(folder, part, kind) for kind in (IMAGES, LABELS))
    if pixels_path is None and labels_path is None:
        return None
    if pixels_path is None or labels_path is None:
        missing = IMAGES if pixels_path is None else LABELS
        raise InputError(f"{folder}: '{part}-{missing}' (or .gz, .xz) is needed and is missing")
    pixels, labels = read_idx(pixels_path, dims=3), read_idx(labels_path, dims=1)
    if len(pixels) != len(labels):
        raise InputError(
            f"{labels_path}: needs one label for each of the {len(pixels)} images of "
            f"{pixels_path.name}, got {len(labels)}"
        )
    return Images(pixels=pixels.unsqueeze(1), labels=labels.long())
