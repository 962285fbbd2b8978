"""Known data sets: what is kept of one to know it again, its classes' names and images' hashes.

An image is its pixels, as they are trained on: files may be renamed, moved or packed. A source that
has the same pixels in another order, or under other names of classes, is put back into the order
and under the names that it was split with; one that has other pixels is refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from hnas.data.hashing import Index, from_hex, to_hex
from hnas.data.images import Images, Source
from hnas.errors import InputError, MismatchError


@dataclass(frozen=True, kw_only=True, eq=False)
class Hashes:
    """Images by what they show. Raises InputError if there is not a label for each."""

    labels: Index
    """(n,)"""
    pixels: Index
    """(n,): hash of each image's pixels."""

    def __post_init__(self) -> None:
        if self.labels.shape != self.pixels.shape:
            raise InputError(
                f"{len(self.labels)} labels for the hashes of {len(self.pixels)} images"
            )

    @cached_property
    def keys(self) -> Index:
        """(n,): all different, the same for the same images and labels in any order."""
        order = np.lexsort((self.pixels, self.labels))
        labels, pixels = self.labels[order], self.pixels[order]
        begins = np.ones(len(order), dtype=bool)
        begins[1:] = (labels[1:] != labels[:-1]) | (pixels[1:] != pixels[:-1])
        at = np.arange(len(order))
        copy = at - np.maximum.accumulate(np.where(begins, at, 0))  # of equal images, from 0
        keys = np.empty_like(pixels)
        keys[order] = pixels + labels * 0x1E3779B97F4A7C15 + copy * 0x3F58476D1CE4E5B9
        return keys

    def same(self, other: Hashes) -> bool:
        """Whether the images and their order are the same."""
        equal = np.array_equal
        return equal(self.labels, other.labels) and equal(self.pixels, other.pixels)

    def to_dict(self) -> dict[str, str]:
        """As text: of a million images lists of numbers would take long to read."""
        return {"labels": to_hex(self.labels, "<i4"), "pixels": to_hex(self.pixels)}

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> Hashes:
        """The inverse of `to_dict`. Raises InputError."""
        try:
            labels = from_hex(value["labels"], "<i4")
            return cls(labels=labels, pixels=from_hex(value["pixels"]))
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"they are no hashes of images: {error!r}") from None


def hashes(images: Images) -> Hashes:
    """The hashes of images, in their order."""
    return Hashes(labels=images.labels.cpu().numpy(), pixels=images.hashes)


@dataclass(frozen=True, kw_only=True, eq=False)
class Known:
    """A data set as it was split."""

    classes: tuple[str, ...]
    train: Hashes
    """Of the part that is split."""
    test: Hashes | None
    """Of the source's own test part; None if it has none."""

    @cached_property
    def fingerprint(self) -> str:
        """Short sha256 of classes, labels and pixels: two data sets are the same or not."""
        digest = hashlib.sha256(repr(self.classes).encode("utf-8", "surrogatepass"))
        for part in (self.train, self.test):
            for values in (part.labels, part.pixels) if part else ():
                digest.update(f"{len(values)};".encode() + values.astype("<i8").tobytes())
        return digest.hexdigest()[:16]


def known(source: Source) -> Known:
    """What is kept of a source."""
    test = None if source.test is None else hashes(source.test)
    return Known(classes=source.classes, train=hashes(source.train), test=test)


def recognised(
    source: Source, kept: Known, parts: Mapping[str, Index]
) -> tuple[Source, tuple[str, ...]]:
    """The source as it was when `kept` was: its images in that order, its classes by those names;
    and what had to be done for that, in sentences.

    `parts` names the images of `kept.train` by how they are used. Raises MismatchError naming the
    parts whose images are others now.
    """
    found = known(source)
    if (found.test is None) != (kept.test is None):
        what = "no test part" if found.test is None else "a test part"
        raise MismatchError(f"{source.name} has {what} of its own now, unlike when it was split")
    names, said = _classes(found, kept)
    train, train_order = _ordered(found.train, kept.train, names)
    wrong = [] if train_order is not None else _differences(train, kept.train, parts)
    test_order = None
    if found.test is not None and kept.test is not None:
        test, test_order = _ordered(found.test, kept.test, names)
        if test_order is None:
            all_of_it = {"the test part": np.arange(len(kept.test.labels))}
            wrong += _differences(test, kept.test, all_of_it)
    if wrong:
        raise MismatchError(f"{source.name} has other images now: {'; '.join(wrong)}")
    moved = [order is not None and len(order) > 0 for order in (train_order, test_order)]
    if any(moved):
        said.append("files are in another order than then, by new names: each keeps its use")
    called = source.called
    if called and train_order is not None and len(train_order):
        called = _called(called, train_order)
    return replace(
        source,
        called=called,
        train=_put_back(source.train, train, train_order),
        test=source.test and _put_back(source.test, test, test_order),
        classes=kept.classes,
    ), tuple(said)


def _classes(found: Known, kept: Known) -> tuple[Index, list[str]]:
    """For each class of `found` its number in `kept`, and what was renamed.

    Raises MismatchError if there is no such class.
    """
    numbers = {name: i for i, name in enumerate(kept.classes)}
    ours = {name: numbers[name] for name in found.classes if name in numbers}
    new = [name for name in found.classes if name not in numbers]
    gone = {_contents(kept, i): name for name, i in numbers.items() if name not in ours}
    said = []
    for name in new:
        was = gone.pop(_contents(found, found.classes.index(name)), None)
        if was is None:
            raise MismatchError(
                f"class {name!r} was not there when the images were split, and has not the images "
                f"of one that was: {', '.join(kept.classes)}"
            )
        ours[name] = numbers[was]
        said.append(f"class {name!r} has the images of {was!r}, and is called so here")
    if gone:
        raise MismatchError(f"class {', '.join(map(repr, gone.values()))} is not there any more")
    return np.array([ours[name] for name in found.classes], dtype=np.int64), said


def _contents(of: Known, number: int) -> tuple[bytes, ...]:
    """The images of a class, whatever it is called and in whatever order."""
    parts = [part for part in (of.train, of.test) if part is not None]
    return tuple(np.sort(part.pixels[part.labels == number]).tobytes() for part in parts)


def _ordered(found: Hashes, kept: Hashes, names: Index) -> tuple[Hashes, Index | None]:
    """`found` with the labels of `kept`, and where each image of `kept` is in it: empty if nothing
    has moved, None if the images are others."""
    found = Hashes(labels=names[found.labels], pixels=found.pixels)
    if found.same(kept):
        return found, np.empty(0, dtype=np.int64)
    theirs, its = np.argsort(found.keys), np.argsort(kept.keys)
    if not np.array_equal(found.keys[theirs], kept.keys[its]):
        return found, None
    order = np.empty_like(its)
    order[its] = theirs
    return found, order


def _put_back(images: Images, found: Hashes, order: Index | None) -> Images:
    images = Images(pixels=images.pixels, labels=torch.from_numpy(found.labels))
    return images if order is None or not len(order) else images.take(torch.from_numpy(order))


def _called(called: Callable[[int], str], order: Index) -> Callable[[int], str]:
    return lambda number: called(int(order[number]))


def _differences(found: Hashes, kept: Hashes, parts: Mapping[str, Index]) -> list[str]:
    """How many images of each part are gone, and how many are new."""
    gone, new = ~np.isin(kept.keys, found.keys), int((~np.isin(found.keys, kept.keys)).sum())
    said = []
    for name, index in parts.items():
        if count := int(gone[index].sum()):
            said.append(f"of {name}, {count:,} of {len(index):,} images are gone or changed")
    if new:
        said.append(f"{new:,} image{'s are' if new > 1 else ' is'} new or changed")
    return said
