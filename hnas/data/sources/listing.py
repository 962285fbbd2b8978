"""Listings: what a source has, the files of each part, the classes, and what was left out."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import TypeVar

from hnas.data.images import Source
from hnas.data.size import Size
from hnas.data.sources.files import File, check_memory, filled, together
from hnas.data.sources.labels import unlabelled
from hnas.data.sources.read import inside
from hnas.data.sources.rows import forget
from hnas.errors import InputError
from hnas.persist.words import few

Part = TypeVar("Part", bound=Sized)
PARTS: Mapping[str, tuple[str, ...]] = {
    "train": ("train", "training"),
    "held_out": ("val", "valid", "validation", "dev"),
    "test": ("test", "testing"),
}
"""The names of a data set's parts, in lower case."""
SYSTEMS = ("__MACOSX", "@eaDir")
"""Folders that systems make among others' files, of copies and previews."""
LONGEST = 255
"""Characters of a class's name, as of a folder's."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The files of a source, in the order that their images have."""

    name: str
    """What errors call the source."""
    classes: tuple[str, ...]
    train: Sequence[File]
    held_out: Sequence[File] = ()
    """Empty if the source has no such part of its own."""
    test: Sequence[File] | None = None
    """None if there is no test part."""
    notes: tuple[str, ...] = ()
    """What a person should know of it, each one sentence."""

    @property
    def parts(self) -> tuple[Sequence[File], Sequence[File], Sequence[File]]:
        """Training, held-out and test part; one that is not there has no files."""
        return self.train, self.held_out, self.test or ()

    def load(self, size: Size, *, skip_bad: bool) -> Source:
        """All of them decoded. With `skip_bad` files that are no images are left out and named in
        the Source. Raises InputError if they are too many for memory."""
        every = [file for part in self.parts for file in part]
        check_memory(self.name, len(every), size, beside=together(every))
        skipped: list[str] | None = [] if skip_bad else None
        train, (_, held_out), names = filled((self.train, self.held_out), size, skipped)
        folder = os.path.join(
            self.name if os.path.isdir(self.name) else os.path.dirname(self.name), ""
        )
        test = None if self.test is None else filled((self.test,), size, skipped)[0]
        forget()
        return Source(
            name=self.name,
            train=train,
            held_out=held_out,
            test=test,
            classes=self.classes,
            skipped=tuple(skipped or ()),
            notes=self.notes,
            crop_pct=None,
            called=lambda number: names[number].removeprefix(folder),
        )


def part_of(name: str) -> str | None:
    """The part that a folder, a file or a column's value names, in any case; None: another name."""
    return next((part for part, names in PARTS.items() if name.casefold() in names), None)


def part_within(name: str) -> str | None:
    """The part that a word of a name names (`training_set`, `labels-test.csv`); None if no word
    does, or words name several."""
    found = {part for word in words(name) if (part := part_of(word))}
    return found.pop() if len(found) == 1 else None


def words(name: str) -> list[str]:
    return re.split(r"[-_. ]+", name)


def files_in(place: Path, suffixes: tuple[str, ...], *folders: str) -> list[Path]:
    """The files with these suffixes, in any case: the place itself, or those in it, in its folders
    of parts and in `folders` in it."""
    found = [place]
    if place.is_dir():
        inner = (p for p in place.iterdir() if p.name in folders or part_of(p.name))
        every = (place, *filter(Path.is_dir, inner))
        found = [path for folder in every for path in folder.iterdir()]
    return sorted(p for p in found if p.name.lower().endswith(suffixes) and p.is_file())


def part_of_file(path: Path, place: Path) -> str | None:
    """The part that a file of rows is: its name's first word says so, its only one that names a
    part, or a folder of the place that it lies in; None: nothing says so."""
    folder = path.parent.name if place in path.parents[1:] else ""
    return part_of(words(path.name)[0]) or part_within(path.name) or part_of(folder)


def is_hidden(name: str) -> bool:
    """Whether a file or folder is no part of what a person put there."""
    return name.startswith(".") or name in SYSTEMS


def nfc(name: str) -> str:
    """A name as it compares: systems write an accent as one character, or as two (NFD)."""
    return unicodedata.normalize("NFC", name)


@dataclass
class LeftOut:
    """Files that are not used, counted by reason."""

    reasons: dict[str, Counter[str]] = field(default_factory=dict)
    """Of each reason, how often each kind of file."""
    called: str = "file"

    def add(self, reason: str, kind: str, count: int = 1) -> None:
        self.reasons.setdefault(reason, Counter())[kind] += count

    def add_unlabelled(self, part: str, count: int) -> None:
        """Images of a part whose label stands for none."""
        if count:
            self.add("whose label is -1 or missing", f"{part.replace('_', '-')} part", count)

    def add_unknown(self, name: str) -> None:
        """A file that is no image by its name."""
        suffix = PurePath(name).suffix.lower()
        self.add("not named as an image that can be read", suffix or "no suffix")

    def add_beside(self, folder: Path, read: Iterable[Path], kinds: tuple[str, ...] = ()) -> None:
        """Files of a folder, of some kinds or all, that are not read; what is hidden counts as one.
        A path that is no folder has none."""
        known = {*read}
        called = {path.name for path in known}
        for above, inner, names in os.walk(folder):
            for name in filter(is_hidden, () if kinds else (*inner, *names)):
                self.add("hidden", PurePath(name).suffix.lower() or name)
            inner[:] = sorted(name for name in inner if not is_hidden(name))
            for name in names:
                kind = os.path.splitext(name)[1].lower()  # no Path: there may be a million
                is_meant = not is_hidden(name) and (not kinds or kind in kinds)
                if is_meant and not (name in called and Path(above, name) in known):
                    self.add("beside the files that are read", kind or "no suffix")

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence, if there is anything to say."""
        total = sum(kinds.total() for kinds in self.reasons.values())
        if not total:
            return ()
        told = [
            f"{its.total():,} {reason} ({_counts(its)})" for reason, its in self.reasons.items()
        ]
        heif = any(".heic" in kinds or ".heif" in kinds for kinds in self.reasons.values())
        hint = ". HEIC needs the package pillow-heif: pip install 'hnas[heic]'" if heif else ""
        return (f"left out {total:,} {self.called}{'s'[: total > 1]}: {', '.join(told)}{hint}",)


def _counts(kinds: Counter[str]) -> str:
    """In one order, whatever that of a file system is."""
    most_first = sorted(kinds.items(), key=lambda one: (-one[1], one[0]))
    return few([f"{kind} {count:,}" for kind, count in most_first])


def of_files(
    place: Path,
    files: Collection[Path],
    images: Callable[[Path], Iterable[tuple[str, File, str]]],
    left_out: LeftOut,
) -> Listing:
    """What files list: `images` gives those of a file, each with the folder in it that names a
    part (empty: the file's own name does) and the name of its class. What lies beside them is
    counted. Raises InputError as `_labelled` does, or if a file leads out of the place."""
    root = place if place.is_dir() else place.parent
    rows = (
        (part_of(folder) or part_of_file(path, place) or "train", folder or path.name, file, label)
        for path in files
        for folder, file, label in images(inside(path, root))
    )
    left_out.add_beside(place, files)
    return of_rows(place, rows, left_out)


def of_rows(
    place: Path, rows: Iterable[tuple[str, str, File, str]], left_out: LeftOut | None = None
) -> Listing:
    """What a source lists by rows: of each image its part and what the source calls that, its file,
    the name of its class. Images without a label are counted. Raises InputError as `_labelled`
    does."""
    left_out = left_out or LeftOut()
    found: dict[str, list[tuple[File, str]]] = {}
    names: dict[str, str] = {}
    for part, called, file, label in rows:
        found.setdefault(part, []).append((file, label))
        names[part] = called
    none = unlabelled({label for _, label in found.get("train", ())})
    for part, files in [*found.items()]:
        found[part] = [row for row in files if row[1] not in none]
        left_out.add_unlabelled(part, len(files) - len(found[part]))
    return of_parts(str(place), *_labelled(str(place), found), names, left_out)


def of_parts(
    name: str,
    found: Mapping[str, Sequence[File]],
    classes: tuple[str, ...],
    names: Mapping[str, str],
    left_out: LeftOut | None = None,
) -> Listing:
    """The files of each part, by their `roles`, with what is to be said of them."""
    held_out, test, said = roles(found, names)
    return Listing(
        name=name,
        classes=classes,
        train=found["train"],
        held_out=held_out or (),
        test=test,
        notes=(*said, *(left_out.notes if left_out else ())),
    )


def _labelled(
    where: str, rows: Mapping[str, Sequence[tuple[File, str]]]
) -> tuple[dict[str, list[File]], tuple[str, ...]]:
    """The files of each part, numbered by the classes of the training part, and these: in the order
    of their numbers if all are numbers, else by name.

    Raises InputError if there is no training part, or a class is in another part only.
    """
    if not rows.get("train"):
        raise InputError(f"{where}: has no labelled images of a training part")
    names = {name for _, name in rows["train"]}
    if too_long := [name for name in names if len(name) > LONGEST]:
        raise InputError(
            f"{where}: the name of a class has at most {LONGEST} characters, one has "
            f"{len(too_long[0]):,}: {too_long[0][:40]!r}..."
        )
    ordered = sorted(names, key=int if all(map(str.isdecimal, names)) else str)
    if len(names) < 2:
        raise InputError(f"{where}: needs at least two classes, got {ordered}")
    number = {name: i for i, name in enumerate(ordered)}
    for part, files in rows.items():
        for file, name in files:
            if name not in number:
                raise InputError(
                    f"{file.path}: class {name!r} of the part {part} is unknown, the training part "
                    f"has {few(ordered)}"
                )
    found = {
        part: [file._replace(label=number[name]) for file, name in files]
        for part, files in rows.items()
    }
    return found, tuple(ordered)


def roles(
    found: Mapping[str, Part], names: Mapping[str, str]
) -> tuple[Part | None, Part | None, tuple[str, ...]]:
    """Held-out part, test part and what to say of them. A held-out part without a test part is used
    as the test part; `names` are what the source calls its parts."""
    held_out, test = found.get("held_out") or None, found.get("test") or None
    if not held_out or test:
        return held_out, test, ()
    note = (
        f"{names['held_out']} is used as the test part, since there is no other: the images that "
        "scores are measured on are taken from the training part"
    )
    return None, held_out, (note,)
