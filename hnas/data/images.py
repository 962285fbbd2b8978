"""Labelled images of one size, and the data set that a source gives.

Shapes: n images, C channels (1 grey, 3 RGB), H x W pixels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from hnas.data.hashing import Index
from hnas.data.on_disk import OnDisk
from hnas.data.pixels import CHANNELS, pixels_of
from hnas.data.size import Size
from hnas.errors import InputError


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Labelled images. Raises InputError if pixels and labels do not belong together."""

    pixels: torch.Tensor | OnDisk
    """uint8 (n, C, H, W), 0 to 255: in memory, or in files."""
    labels: torch.Tensor
    """int64 (n,), an index into the source's classes."""

    def __post_init__(self) -> None:
        pixels, labels = self.pixels, self.labels
        if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] not in CHANNELS:
            raise InputError(
                "pixels must be uint8 (n, C, H, W) with C = 1 or 3, "
                f"got {pixels.dtype} {tuple(pixels.shape)}"
            )
        if labels.dtype != torch.int64 or labels.shape != pixels.shape[:1]:
            raise InputError(
                f"labels must be int64 ({len(pixels)},), one for each image, "
                f"got {labels.dtype} {tuple(labels.shape)}"
            )

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, index: torch.Tensor) -> Images:
        """The images of an int64 index (k,), in its order; those on disk stay in their files."""
        index = index.to(self.labels.device)
        return Images(pixels=pixels_of(self.pixels).take(index), labels=self.labels[index])

    def join(self, others: Images) -> Images:
        """These and then others of the same source, on one device."""
        if isinstance(self.pixels, OnDisk) and isinstance(others.pixels, OnDisk):
            pixels: torch.Tensor | OnDisk = self.pixels.join(others.pixels)
        else:
            pixels = torch.cat((self.tensor(), others.tensor()))
        return Images(pixels=pixels, labels=torch.cat((self.labels, others.labels)))

    def tensor(self) -> torch.Tensor:
        """All pixels in memory: uint8 (n, C, H, W). Images on disk are read."""
        return pixels_of(self.pixels).tensor()

    def fit(self, size: Size) -> Images:
        """All of this size, on the CPU. Raises InputError if a pack differs."""
        return Images(pixels=pixels_of(self.pixels).fit(size), labels=self.labels.cpu())

    def fetch(self, order: Iterable[torch.Tensor]) -> Iterator[torch.Tensor]:
        """The pixels of each index (B,) of `order`, on their device; from disk, read ahead."""
        return pixels_of(self.pixels).fetch(order)

    def to(self, device: torch.device | str) -> Images:
        return Images(pixels=self.pixels.to(device), labels=self.labels.to(device))

    @property
    def numbers(self) -> tuple[str, ...]:
        """Names for classes that have none: their numbers, from 0 to the largest label."""
        return tuple(map(str, range(int(self.labels.max()) + 1)))

    @property
    def hashes(self) -> Index:
        """int64 (n,): the hash of each image's pixels."""
        return pixels_of(self.pixels).hashes()

    @property
    def fingerprint(self) -> str:
        """Short sha256 of shape, pixels and labels: two sets of images are the same or not."""
        digest = hashlib.sha256(str(tuple(self.pixels.shape)).encode())
        for tensor in (self.tensor(), self.labels):
            digest.update(tensor.flatten().cpu().numpy().data)
        return digest.hexdigest()[:16]


def divide(images: Images, *parts: Index | None) -> list[Images]:
    """The images of each index, which have none in common, in one go; None gives none.

    Images in memory are moved within it, so that no second copy of all is ever there: `images` is
    in another order afterwards.
    """
    rows = [np.empty(0, np.int64) if part is None else part for part in parts]
    if not isinstance(images.pixels, torch.Tensor):
        return [images.take(torch.from_numpy(part)) for part in rows]
    order, pixels = np.concatenate(rows), images.pixels.numpy()
    if 2 * len(order) > len(images):
        rest = np.setdiff1d(np.arange(len(images)), order)
        _reorder(pixels, np.concatenate((order, rest)))
        moved = torch.from_numpy(pixels)[: len(order)].split([len(part) for part in rows])
    else:
        moved = tuple(images.pixels[torch.from_numpy(part)] for part in rows)
    return [
        Images(pixels=part, labels=images.labels[torch.from_numpy(index)])
        for part, index in zip(moved, rows, strict=True)
    ]


def _reorder(pixels: npt.NDArray[np.uint8], order: Index) -> None:
    """pixels = pixels[order] in place, one ring of the permutation after the other."""
    source = order.tolist()
    for start in range(len(source)):
        if source[start] in (start, -1):
            continue
        first, at = pixels[start].copy(), start
        while (following := source[at]) != start:
            pixels[at] = pixels[following]
            source[at], at = -1, following
        pixels[at], source[at] = first, -1


@dataclass(frozen=True, kw_only=True, eq=False)
class Source:
    """A data set as its owner divided it. Raises InputError if its parts do not fit together."""

    name: str
    """What errors call it: the folder, or the name it was asked for by."""
    train: Images
    test: Images | None
    """The source's own test part; None if it has none."""
    classes: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    """Files that were left out because they could not be decoded."""
    held_out: int = 0
    """How many of the last images of `train` are its own held-out part."""
    background: str | None = None
    """What transparent images were laid on before; None: that is done as they are loaded."""
    interpolation: str | None = None
    """How they were resized before; None: likewise."""
    crop_pct: float | None = 1.0
    """Share of their shorter side that is left before; None: they are cut as they are loaded."""
    notes: tuple[str, ...] = ()
    """What a person should know of it, each one sentence."""
    called: Callable[[int], str] | None = None
    """What an image of `train` is called, by its number; None: by that."""

    def name_of(self, number: int) -> str:
        """What a person calls an image of `train`, with its class."""
        name = self.called(number) if self.called else f"image {number:,}"
        return f"{name} ({self.classes[self.train.labels[number]]})"

    def __post_init__(self) -> None:
        k = len(self.classes)
        if k < 2:
            raise InputError(
                f"{self.name}: a data set needs at least two classes, got {list(self.classes)}"
            )
        for part, images in (("training", self.train), ("test", self.test)):
            if images is None:
                continue
            outside = images.labels[(images.labels < 0) | (images.labels >= k)]
            if len(outside):
                raise InputError(
                    f"{self.name}: labels must be 0 to {k - 1} ({k} classes), "
                    f"the {part} part has {outside[0].item()}"
                )
            if not len(images):
                raise InputError(f"{self.name}: the {part} part needs images, got none")
        trained = self.train.labels[: len(self.train) - self.held_out]
        missing = (torch.bincount(trained, minlength=k) == 0).nonzero().flatten().tolist()
        if missing:
            names = ", ".join(f"{c} ({self.classes[c]!r})" for c in missing[:5])
            raise InputError(
                f"{self.name}: every class needs a training image, "
                f"{len(missing)} of {k} have none: {names}"
            )
