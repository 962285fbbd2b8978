"""Three disjoint parts of a data set: to train on, to score on, to test on once."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from hnas.data.images import Source
from hnas.data.known import Known, recognised
from hnas.errors import InputError, MismatchError
from hnas.persist.record import later
from hnas.settings import DataRules

Index = npt.NDArray[np.int64]


def fingerprint(*arrays: Index | None) -> str:
    """Short sha256 of integers, of how they are grouped, and of which groups are None."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(b"none;" if array is None else f"{len(array)};".encode())
        digest.update(b"" if array is None else array.astype("<i8").tobytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """The use of each image. Raises InputError if a part is empty or two share an image."""

    train: Index
    """int64, sorted: trained on."""
    held_out: Index
    """int64, sorted: scored on, never trained on."""
    test: Index | None
    """int64, sorted: tested on, once; None if the source has a test part of its own."""
    labels: str
    """Fingerprint of the labels that were split: the indices mean nothing for others."""
    known: Known | None = later(None)
    """The images that were split; None if an older hnas has split them."""

    def __post_init__(self) -> None:
        arrays = [array for array in (self.train, self.held_out, self.test) if array is not None]
        for array in arrays:
            if array.dtype != np.int64 or array.ndim != 1 or not len(array) or array.min() < 0:
                raise InputError(
                    "each part of a split must be a non-empty list of indices >= 0, "
                    f"got {array.dtype} {array.shape}: {array.tolist()[:5]}"
                )
        together = np.concatenate(arrays)
        values, counts = np.unique(together, return_counts=True)
        if len(values) != len(together):
            raise InputError(
                "the parts of a split must not share an image, "
                f"got image {values[counts > 1][0]} more than once"
            )

    @property
    def fingerprint(self) -> str:
        """Short sha256: two splits are the same or not."""
        text = np.frombuffer(self.labels.encode(), dtype=np.uint8).astype(np.int64)
        return fingerprint(self.train, self.held_out, self.test, text)

    @property
    def images(self) -> str | None:
        """Fingerprint of the images that were split, with the names of their classes."""
        return self.known.fingerprint if self.known else None

    def recognised(self, source: Source) -> tuple[Source, tuple[str, ...]]:
        """The source as it was when it was split, and what had to be done for that, in sentences.

        Raises MismatchError, naming the parts, if its images are others. Nothing is done for a
        split that does not know them.
        """
        if self.known is None:
            return source, ()
        parts = {"the training part": self.train, "the held-out part": self.held_out}
        if self.test is not None:
            parts["the test part"] = self.test
        used = np.concatenate([*parts.values()])
        rest = np.setdiff1d(np.arange(len(self.known.train.labels)), used)
        return recognised(source, self.known, parts | {"those that are not used": rest})

    def check(self, labels: Index) -> None:
        """Raises MismatchError if these are not the labels that were split."""
        found = fingerprint(labels)
        if found != self.labels:
            raise MismatchError(
                "the data set has changed since it was split: its labels must have the "
                f"fingerprint {self.labels}, got {found}. Restore it, or start a new run"
            )


def split(
    labels: Index,
    rules: DataRules,
    *,
    own_test: bool,
    seed: int,
    classes: Sequence[str] = (),
    own_held_out: int = 0,
) -> Split:
    """A split of int64 labels (n,), every class by the same shares.

    The test part is taken first (none if the source has its `own_test`), the held-out part is
    a share of what is left; each takes at least one image of every class. The last `own_held_out`
    images are a held-out part of the source's own: all of it is taken, and no other. Each class
    draws from a stream of its own, so that it does not depend on the others.

    Raises InputError, naming the class, if none of its images would be left to train on.
    """
    if labels.ndim != 1 or not len(labels) or labels.min() < 0:
        raise InputError(f"labels to split must be a list of classes >= 0, got {labels.shape}")
    divided = labels[: len(labels) - own_held_out]
    counts = np.bincount(divided)
    rows = sizes(counts, rules, own_test=own_test, own_held_out=own_held_out)
    members = np.split(np.argsort(divided, kind="stable"), np.cumsum(counts)[:-1])
    parts: list[list[Index]] = []
    for c, (member, row) in enumerate(zip(members, rows, strict=True)):
        train, held_out, test = row
        take = sum(row)
        if train < 1:
            limited = f" ({take} with limit={rules.limit})" if take < len(member) else ""
            raise InputError(
                f"class {classes[c] if classes else c!r} has {len(member)} images{limited}: "
                f"{test} to test and {held_out} to hold out leave none to train on. "
                "Give it more images, or change limit, test or held_out"
            )
        stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(c,)))
        order = stream.permutation(member)[:take]
        parts.append(np.split(order, [train, train + held_out]))
    trained, scored, tested = (np.sort(np.concatenate(part)) for part in zip(*parts, strict=True))
    if own_held_out:
        scored = np.arange(len(divided), len(labels))
    test_part = None if own_test else tested
    return Split(train=trained, held_out=scored, test=test_part, labels=fingerprint(labels))


def sizes(
    counts: Index, rules: DataRules, *, own_test: bool, own_held_out: int
) -> list[tuple[int, int, int]]:
    """Of each class with so many images, how many `split` trains on (less than 1 if they are too
    few), holds out and tests on."""
    found, total = [], int(counts.sum())
    for take in _shares(counts, min(rules.limit or total, total)).tolist():
        test = 0 if own_test else max(1, round(rules.test * take))
        held_out = 0 if own_held_out else max(1, round(rules.held_out * (take - test)))
        found.append((take - test - held_out, held_out, test))
    return found


def _shares(counts: Index, total: int) -> Index:
    """`total` divided in proportion to `counts`, exactly (largest remainders first)."""
    shares, remainders = np.divmod(counts * total, counts.sum())
    shares[np.argsort(-remainders, kind="stable")[: total - shares.sum()]] += 1
    return shares.astype(np.int64)
