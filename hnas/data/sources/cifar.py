"""CIFAR-10 and CIFAR-100 in their binary version (https://www.cs.toronto.edu/~kriz/cifar.html).

A file is records of equal size: label bytes (CIFAR-10: the class; CIFAR-100: coarse, then fine,
which is the class), then 3 x 32 x 32 pixels, channel by channel.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from hnas.data.images import Images, Source
from hnas.data.size import Size
from hnas.data.sources.files import check_memory
from hnas.data.sources.read import find, read
from hnas.errors import InputError

PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Kind:
    """One of the two record formats."""

    name: str
    labels: int
    """Label bytes of a record; the last one is the class."""
    meta: str
    """The file of class names, one a line."""

    @property
    def record(self) -> int:
        return self.labels + PIXELS


KINDS = (Kind("CIFAR-10", 1, "batches.meta.txt"), Kind("CIFAR-100", 2, "fine_label_names.txt"))


def matches(folder: Path) -> bool:
    """True if the folder holds a record file of a name that CIFAR uses."""
    return bool(_batches(folder) or find(folder, "train.bin", "test_batch.bin", "test.bin"))


def load(folder: Path) -> Source:
    """The folder's images, 3 x 32 x 32; `data_batch_*` in the order of their numbers.

    Raises InputError naming the file that is missing, torn or of neither format.
    """
    batches, whole = _batches(folder), find(folder, "train.bin")
    if batches and whole:
        raise InputError(
            f"{folder}: the training part is data_batch_*.bin or train.bin, both are there"
        )
    train = [whole] if whole else batches
    if not train:
        raise InputError(f"{folder}: 'data_batch_1.bin' or 'train.bin' is needed and is missing")
    test = find(folder, "test_batch.bin", "test.bin")
    contents = {path: read(path) for path in [*train, *([test] if test else [])]}
    kind = _kind(folder, {path: len(content) for path, content in contents.items()})
    names = _names(find(folder, kind.meta))
    counts = {path: len(content) // kind.record for path, content in contents.items()}
    check_memory(str(folder), sum(counts.values()), Size(32, 3), folder="FOLDER-OF-THEIR-FILES")
    images = _images(contents, train, kind, names)
    return Source(
        name=str(folder),
        train=images,
        test=_images(contents, [test], kind, names) if test else None,
        classes=names or images.numbers,
    )


def _batches(folder: Path) -> list[Path]:
    found = (re.fullmatch(r"data_batch_(\d+)\.bin(\.gz|\.xz)?", p.name) for p in folder.iterdir())
    numbers = sorted({match[1] for match in found if match}, key=lambda text: (int(text), text))
    paths = (find(folder, f"data_batch_{number}.bin") for number in numbers)
    return [path for path in paths if path]


def _kind(folder: Path, sizes: dict[Path, int]) -> Kind:
    """The format by the file of class names, else by the record size that divides every file."""
    named = [kind for kind in KINDS if find(folder, kind.meta)]
    fitting = [kind for kind in KINDS if all(size % kind.record == 0 for size in sizes.values())]
    candidates = named or fitting
    if len(candidates) > 1:
        raise InputError(
            f"{folder}: could be CIFAR-10 or CIFAR-100: keep exactly one of "
            f"{' and '.join(kind.meta for kind in KINDS)}"
        )
    for path, size in sizes.items():
        if size == 0 or not any(size % kind.record == 0 for kind in candidates or KINDS):
            rule = " or ".join(f"{kind.record} bytes ({kind.name})" for kind in candidates or KINDS)
            raise InputError(
                f"{path}: must be whole records of {rule}, got {size:,} bytes; fetch it again"
            )
    if not candidates:
        raise InputError(f"{folder}: its files must have records of one size, got both sizes")
    return candidates[0]


def _names(path: Path | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        text = read(path, largest=2**20).decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: must be class names in UTF-8, one a line: {error}") from error
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _images(
    contents: dict[Path, bytearray], paths: Sequence[Path], kind: Kind, names: tuple[str, ...]
) -> Images:
    """The images of files, one behind the other; their contents are given back one by one."""
    n = sum(len(contents[path]) // kind.record for path in paths)
    pixels, labels = torch.empty((n, PIXELS), dtype=torch.uint8), []
    at = 0
    for path in paths:
        content = contents.pop(path)
        records = torch.frombuffer(content, dtype=torch.uint8).view(-1, kind.record)
        labels.append(_labels(path, records[:, kind.labels - 1].long(), kind, names))
        pixels[at : at + len(records)] = records[:, kind.labels :]
        at += len(records)
        del records, content
    return Images(pixels=pixels.view(-1, 3, 32, 32), labels=torch.cat(labels))


def _labels(path: Path, labels: torch.Tensor, kind: Kind, names: tuple[str, ...]) -> torch.Tensor:
    if names and int(labels.max()) >= len(names):
        first = int((labels >= len(names)).nonzero()[0])
        raise InputError(
            f"{path}: labels must be 0 to {len(names) - 1} ({kind.meta} has {len(names)} names), "
            f"record {first} has {int(labels[first])}"
        )
    return labels
