"""Folders of image files, one folder a class.

    train/CLASS/*  with test/CLASS/* and val/CLASS/*, by any name of `listing.PARTS`, in any case,
                   also as a word of it: training_set/CLASS/*, test_set/CLASS/*
    CLASS/*        directly: no test part

Classes and files are in sorted order; files in folders below a class come after the class's own.
What is not taken (hidden, other files) is counted.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from hnas.data.sources.files import File, suffixes
from hnas.data.sources.listing import (
    PARTS,
    LeftOut,
    Listing,
    is_hidden,
    nfc,
    of_parts,
    part_of,
    part_within,
    words,
)
from hnas.data.sources.read import inside
from hnas.errors import InputError
from hnas.persist.words import few

Classes = dict[str, list[Path]]
"""The folders of each class, by its name in NFC."""


def matches(folder: Path) -> bool:
    """True if the folder has folders in it."""
    return bool(_folders(folder))


def has_classes(folder: Path) -> bool:
    """True if it has folders of at least two classes, or folders with folders in them."""
    found = _folders(folder)
    others = sum(part_of(path.name) is None for path in found)
    # The names first: to look into the folders takes a second for each 100,000 files.
    return (others > 1 and len(_by_words(found)) < len(found)) or any(map(_folders, found))


def listing(folder: Path) -> Listing:
    """All files; none is opened. Raises InputError naming the class that is empty or unknown."""
    named = _parts(folder)
    walk = _Walk(folder, frozenset(named.values()), divided="train" in named)
    parts = {"train": folder, **named}
    classes = walk.classes(parts["train"])
    names = tuple(sorted(classes))
    _check(parts["train"], names)
    found: dict[str, list[File]] = {}
    said = [path.name for path in named.values() if not part_of(path.name)]
    notes = [f"taken as parts of the data set, by their names: {', '.join(said)}"] if said else []
    for part, path in parts.items():
        own = walk.classes(path)
        if unknown := sorted(set(own) - set(names)):
            raise InputError(
                f"{own[unknown[0]][0]}: class {unknown[0]!r} is unknown, the training part has "
                f"{few(names)}"
            )
        walk.count_loose(path)
        found[part] = [
            File(file, i)
            for i, name in enumerate(names)
            for each in own.get(name, ())
            for file in walk.files(each)
        ]
        if part != "train" and not found[part]:
            notes.append(
                f"{path.name} has no images in class folders, hence no labels: it is not used"
            )
    if parts["train"] != folder:
        walk.count_loose(folder)
    for empty in sorted(set(range(len(names))) - {file.label for file in found["train"]}):
        raise InputError(
            f"{classes[names[empty]][0]}: a class needs images ({', '.join(suffixes())}), "
            "got none. Put some there, or move the folder elsewhere"
        )
    called = {part: path.name for part, path in parts.items()}
    listed = of_parts(str(folder), found, names, called, walk.left_out)
    return replace(listed, notes=(*notes, *listed.notes))


def files_at(folder: Path, classes: Sequence[str]) -> list[File]:
    """The image files of a folder: those of its class folders with the place of their class in
    `classes`, those that lie loose in it with label -1; a path that is no folder as such a file.

    Raises InputError if a folder in it is none of the classes, or it has no images.
    """
    if not folder.is_dir():
        return [File(str(folder), -1)]
    walk = _Walk(folder, frozenset())
    found = walk.classes(folder)
    if unknown := sorted(set(found) - set(classes)):
        inner = found[unknown[0]][0]
        hint = f". Did you mean {inner}?" if part_of(unknown[0]) else ""
        raise InputError(
            f"{inner}: class {unknown[0]!r} is unknown, the network has {few(classes)}{hint}"
        )
    loose = (p for p in folder.iterdir() if p.name.lower().endswith(walk.suffixes) and p.is_file())
    files = [File(str(path), -1) for path in sorted(loose)]
    for name in sorted(found):
        label = list(classes).index(name)
        files += [File(path, label) for each in found[name] for path in walk.files(each)]
    if not files:
        raise InputError(f"{folder}: there are no images ({', '.join(walk.suffixes)}) in it")
    return files


def _parts(folder: Path) -> dict[str, Path]:
    """The folders of the parts. Without a training part its classes lie in the folder itself, and
    only a folder with some of these classes in it is a part, else a class of that name."""
    children = _folders(folder)
    named = [(part, path) for path in children if (part := part_of(path.name))]
    if not _train(named):
        wordy = _by_words(children)
        if _train(wordy):
            named = wordy
        elif children and len(children) in (len(named), len(wordy)):
            raise InputError(
                f"{folder}: its folders {few([path.name for path in children])} are parts of a "
                "data set, not classes. It needs a folder train with one folder a class in it, or "
                "a table of files and labels (.csv)"
            )
        else:
            classes = {nfc(path.name) for path in children if not part_of(path.name)}
            named = [(p, f) for p, f in named if classes & {nfc(each.name) for each in _folders(f)}]
    found = dict(named)
    if len(found) < len(named):
        raise InputError(
            f"{folder}: {few([path.name for _, path in named])} name a part twice: keep one of each"
        )
    return {part: found[part] for part in PARTS if part in found}


def _by_words(folders: list[Path]) -> list[tuple[str, Path]]:
    """The folders that name a part by one of their words; none if they do not name several, or lie
    beside other folders and are not alike but for that word: a class may be a train_station."""
    found = [(part, path) for path in folders if (part := part_within(path.name))]
    rests = {" ".join(w.casefold() for w in words(p.name) if not part_of(w)) for _, p in found}
    alike = len(rests - {""}) < 2
    return found if len(dict(found)) > 1 and (alike or len(found) == len(folders)) else []


def _train(named: Sequence[tuple[str, Path]]) -> bool:
    """Whether there is a training part with folders in it."""
    return any(part == "train" and _folders(path) for part, path in named)


def _check(where: Path, names: tuple[str, ...]) -> None:
    """Raises InputError if there are fewer than two classes."""
    if len(names) < 2:
        inner = where / names[0] if names else where
        hint = f". Did you mean {inner}?" if names and len(_folders(inner)) > 1 else ""
        raise InputError(
            f"{where}: needs one folder a class and at least two classes, got {list(names)}{hint}"
        )


def _folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:  # which know what they are: no question for each file
        return sorted(Path(e.path) for e in entries if e.is_dir() and not is_hidden(e.name))


@dataclass
class _Walk:
    """The files below a folder; those that are not taken are counted."""

    root: Path
    parts: frozenset[Path]
    """Folders of the root that are no classes."""
    divided: bool = False
    """Whether one of them is the training part: other folders of the root are no classes either."""
    left_out: LeftOut = field(default_factory=LeftOut)
    suffixes: tuple[str, ...] = field(default_factory=suffixes)

    def classes(self, folder: Path) -> Classes:
        """The class folders in it. Raises InputError if one leads out of the root."""
        found: Classes = {}
        for path in (path for path in _folders(folder) if path not in self.parts):
            found.setdefault(nfc(path.name), []).append(inside(path, self.root))
        return found

    def files(self, folder: Path, above: tuple[str, ...] = ()) -> Iterator[str]:
        """The image files of a folder and of those below it."""
        above = (*above, os.path.realpath(folder))
        below: list[Path] = []
        for entry in self._entries(folder):
            path = folder / entry.name if entry.is_symlink() else None
            if entry.is_dir():
                inner = inside(path or folder / entry.name, self.root)
                if path and os.path.realpath(path) in above:
                    self.left_out.add("links to a folder that holds them", entry.name)
                else:
                    below.append(inner)
            elif not entry.name.lower().endswith(self.suffixes):
                self.left_out.add_unknown(entry.name)
            elif not entry.is_file():
                self.left_out.add("links that lead nowhere", Path(entry.name).suffix)
            else:
                yield str(inside(path, self.root)) if path else entry.path
        for each in below:
            yield from self.files(each, above)

    def count_loose(self, folder: Path) -> None:
        """Counts the files of a part, or of the root, that are in no class folder."""
        in_no_part = folder == self.root and self.divided
        for entry in self._entries(folder):
            path = folder / entry.name
            if not entry.is_dir():
                kind = Path(entry.name).suffix.lower()
                if kind in self.suffixes:
                    self.left_out.add("in no class folder", kind)
                else:
                    self.left_out.add_unknown(entry.name)
            elif in_no_part and path not in self.parts:
                for _ in (name for _, _, names in os.walk(path) for name in names):
                    self.left_out.add("in a folder that is no part", entry.name)

    def _entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """By name; hidden ones are counted."""
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            if is_hidden(entry.name):
                self.left_out.add("hidden", Path(entry.name).suffix.lower() or entry.name)
        return [entry for entry in found if not is_hidden(entry.name)]
