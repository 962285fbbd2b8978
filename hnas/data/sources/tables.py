"""Tables of image files and labels: CSV, by comma, semicolon or tab, with a header.

    labels.csv                 file,label        cats/1.jpg,cat
    train.csv, val.csv, test.csv, or one table with a column `split`

A file's name is relative to the table, or is found below its folder by its name alone, with or
without suffix. Labels are names or numbers. A table of examples for answers (sample_submission.csv)
is not used, nor one that names no part beside those that do.
"""

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hnas.data.sources.files import File, suffixes
from hnas.data.sources.labels import LABELS
from hnas.data.sources.listing import (
    LeftOut,
    Listing,
    is_hidden,
    nfc,
    of_rows,
    part_of,
    part_of_file,
)
from hnas.data.sources.read import inside, read
from hnas.errors import InputError
from hnas.persist.words import few

FILES = (
    *("file", "filename", "file_name", "filepath", "file_path", "path", "image", "image_path"),
    *("image_name", "image_file", "img", "images", "image_id", "id", "name"),
)
"""Headers of the column of files, in lower case, the likeliest first."""
SPLITS = ("split", "subset", "set", "part", "partition", "usage")
"""Headers of the column of parts."""
SUFFIXES = (".csv", ".tsv")


def matches(place: Path) -> bool:
    """True if it is a table, or a folder that has one with a column of files and one of labels."""
    return any(_columns(path) for path in _tables(place))


def listing(place: Path) -> Listing:
    """The files of all tables; none is opened. Raises InputError naming the table and the line."""
    used, unused = _used(place, {path: _columns(path) for path in _tables(place)})
    found = _Found(place)
    rows = [row for path, columns in used.items() for row in found.rows(path, columns)]
    found.count_others({file.path for _, _, file, _ in rows})
    listed = of_rows(place, rows, found.left_out)
    return replace(listed, notes=(*unused, *listed.notes))


def _tables(place: Path) -> list[Path]:
    if place.is_file():
        return [place] if place.suffix.lower() in SUFFIXES else []
    return sorted(p for p in place.iterdir() if p.suffix.lower() in SUFFIXES and p.is_file())


@dataclass(frozen=True)
class _Columns:
    """Where a table has what."""

    delimiter: str
    file: int
    label: int
    split: int | None


def _lines(path: Path) -> list[str]:
    content = bytes(read(path))
    try:
        return content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return content.decode("latin-1").splitlines()


def _columns(path: Path) -> _Columns | None:
    """None if the table has no column of files or none of labels."""
    head = next(iter(_lines(path)), "")
    delimiter = max(",;\t", key=head.count)
    header = [name.strip().strip('"').casefold() for name in head.split(delimiter)]

    def first(known: Sequence[str]) -> int | None:
        return next((header.index(name) for name in known if name in header), None)

    file, label = first(FILES), first(LABELS)
    if file is None or label is None:
        return None
    return _Columns(delimiter, file, label, first(SPLITS))


def _used(
    place: Path, tables: Mapping[Path, _Columns | None]
) -> tuple[dict[Path, _Columns], list[str]]:
    """The tables that list images, and what is said of the others. One that is given is used."""
    divided = [path.name for path in tables if tables[path] and part_of_file(path, place)]
    used, unused = {}, []
    for path, columns in tables.items():
        if columns is None:
            unused.append(f"{path.name} has no column of files and one of labels: it is not used")
        elif path == place:
            used[path] = columns
        elif "submission" in path.name.casefold():
            unused.append(f"{path.name} is an example of answers, by its name: it is not used")
        elif divided and columns.split is None and not part_of_file(path, place):
            unused.append(f"{path.name} names no part, as {divided[0]} does: it is not used")
        else:
            used[path] = columns
    return used, unused


@dataclass
class _Found:
    """The files that tables name, and those below the folder that none names."""

    place: Path
    left_out: LeftOut = field(default_factory=LeftOut)
    _below: dict[str, list[str]] | None = None

    @property
    def root(self) -> Path:
        return self.place if self.place.is_dir() else self.place.parent

    def rows(self, path: Path, columns: _Columns) -> Iterator[tuple[str, str, File, str]]:
        """A row of each line, as `of_rows` takes it. A part that the line does not name is that of
        the table's file."""
        own = part_of_file(path, self.place) or "train"
        reader = csv.reader(_lines(path), delimiter=columns.delimiter)
        next(reader)
        seen: dict[str, str] = {}
        try:
            for row in reader:
                if not any(cell.strip() for cell in row):
                    continue
                where = f"{path} line {reader.line_num}"
                if len(row) <= max(columns.file, columns.label):
                    raise InputError(f"{where}: has {len(row)} cells, fewer than the header")
                label = nfc(row[columns.label].strip())
                if not label:
                    self.left_out.add("without a label in the table", path.name)
                    continue
                file = self._place(row[columns.file].strip(), path, where)
                if seen.setdefault(file, label) != label:
                    raise InputError(f"{where}: {file} is {seen[file]!r} in another line")
                split = "" if columns.split is None else row[columns.split].strip()
                if split and part_of(split) is None:
                    raise InputError(f"{where}: the part {split!r} is unknown: train, val or test")
                yield part_of(split) or own, path.name, File(file, 0), label
        except csv.Error as error:
            raise InputError(f"{path} line {reader.line_num}: {error}") from None

    def _place(self, name: str, table: Path, where: str) -> str:
        """The file that a cell names. Raises InputError if there is none, or more than one."""
        place = table.parent / name
        if name and place.is_file():
            return str(inside(place, self.root))
        found = self.below.get(nfc(os.path.basename(name)), [])
        exact = [path for path in found if nfc(path).endswith(os.sep + nfc(name))] or found
        if len(exact) != 1:
            raise InputError(
                f"{where}: {name!r} must name one file below {self.root}, "
                + (f"it names {len(exact)}: {few(exact)}" if exact else "there is none")
            )
        return exact[0]

    @property
    def below(self) -> Mapping[str, list[str]]:
        """The image files below the folder, by name and by name without suffix, in NFC."""
        if self._below is None:
            self._below = {}
            known = suffixes()
            for folder, inner, names in os.walk(self.root):
                inner[:] = sorted(name for name in inner if not is_hidden(name))
                for name in names:
                    stem, suffix = os.path.splitext(name)
                    if suffix.lower() in known:
                        for key in {nfc(name), nfc(stem)}:
                            self._below.setdefault(key, []).append(os.path.join(folder, name))
                    elif suffix.lower() not in SUFFIXES:
                        self.left_out.add_unknown(name)
        return self._below

    def count_others(self, named: set[str]) -> None:
        """Counts image files that no table names."""
        every = {path for paths in self.below.values() for path in paths}
        for path in every - named:
            self.left_out.add("named in no table", os.path.splitext(path)[1].lower())
