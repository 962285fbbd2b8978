"""Confusion: how often a network gave each class to the test images of each class."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from hnas.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Test images by the class that they show and the class that a network gave them.

    Raises InputError if a class or a count is none.
    """

    rows: tuple[Mapping[int, int], ...]
    """For each class that images show, the images of each class that was given; none is left
    out."""

    def __post_init__(self) -> None:
        classes = len(self.rows)
        for row in self.rows:
            for given, images in row.items():
                if not 0 <= given < classes or images < 1:
                    raise InputError(
                        f"a confusion of {classes} classes must count at least one image for a "
                        f"class below {classes}, got {images} for {given}"
                    )

    @staticmethod
    def of(shown: Iterable[int], given: Iterable[int], classes: int) -> Confusion:
        """From the class that each image shows, and the class that was given to it."""
        rows: list[dict[int, int]] = [{} for _ in range(classes)]
        for a, b in zip(shown, given, strict=True):
            rows[a][b] = rows[a].get(b, 0) + 1
        return Confusion(rows=tuple(dict(sorted(row.items())) for row in rows))

    @property
    def images(self) -> int:
        return sum(map(self.of_class, range(len(self.rows))))

    def of_class(self, shown: int) -> int:
        """Images that show the class."""
        return sum(self.rows[shown].values())

    def right(self, shown: int) -> int:
        """Images that show the class and were given it."""
        return self.rows[shown].get(shown, 0)

    def mistakes(self) -> list[tuple[int, int, int]]:
        """(shown, given, images) of every pair of classes that was confused, the most frequent
        first."""
        found = (
            (a, b, images) for a, row in enumerate(self.rows) for b, images in row.items() if a != b
        )
        return sorted(found, key=lambda one: -one[2])

    @property
    def never_given(self) -> list[int]:
        """Classes that images show and that were given to none."""
        given = {each for row in self.rows for each in row}
        return [c for c, row in enumerate(self.rows) if row and c not in given]

    def to_dict(self) -> list[str]:
        """A text for each class that images show: "3:35 5:1", where 35 were given class 3."""
        return [" ".join(f"{given}:{n}" for given, n in row.items()) for row in self.rows]

    @classmethod
    def from_dict(cls, value: object) -> Confusion:
        """The inverse of `to_dict`. Raises InputError."""
        if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
            raise InputError(f"a confusion must be a list of texts, got {value!r}")
        return cls(rows=tuple(dict(_pairs(text)) for text in value))


def _pairs(text: str) -> Iterator[tuple[int, int]]:
    for pair in text.split():
        given, colon, images = pair.partition(":")
        if not (colon and given.isdecimal() and images.isdecimal()):
            raise InputError(f"a pair of a confusion must be like 3:35, got {pair!r}")
        yield int(given), int(images)
