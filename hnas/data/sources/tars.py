"""Tar files of images, as WebDataset has them: members of one name belong together.

    train-000.tar, val-000.tar        00001.jpg and its class 00001.cls (or 00001.json: "label")
    images.tar                        CLASS/1.jpg or train/CLASS/1.jpg, without .cls

The part of an image is a folder in its tar, a word of the tar's name, or the folder that the tar
lies in. Images stay in the tars: each is read from its place in it.
"""

import contextlib
import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePath

from hnas.data.sources.files import File, suffixes
from hnas.data.sources.labels import LABELS
from hnas.data.sources.listing import LeftOut, Listing, files_in, nfc, of_files, part_of
from hnas.errors import InputError

PACKED = (".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".tar.zst")
SUFFIXES = (".tar", *PACKED)
CLASS = (".cls", ".label", ".class", ".cls.txt")
"""Suffixes of members that hold the class of an image."""
LONGEST = 2**16
"""Most bytes of a member that holds a class."""


class _Bounded(io.BufferedReader):
    """A file of which no more is asked than there is: a header may claim any size, and `tarfile`
    believes it."""

    def read(self, size: int | None = -1) -> bytes:
        left = os.fstat(self.fileno()).st_size
        return super().read(left if size is None or size < 0 else min(size, left))


def matches(place: Path) -> bool:
    """True if it is a tar, or a folder that has tars, or parts with tars in them."""
    return bool(files_in(place, SUFFIXES))


def listing(place: Path) -> Listing:
    """The images of all tars; none is decoded. Raises InputError naming the tar that is torn."""
    left_out = LeftOut()
    tars = files_in(place, SUFFIXES)
    return of_files(place, tars, lambda path: _images(path, left_out), left_out)


def _images(path: Path, left_out: LeftOut) -> Iterator[tuple[str, File, str]]:
    """The images of a tar: the folder in it that names their part, if one does, and their class."""
    if path.name.lower().endswith(PACKED):
        raise InputError(f"{path}: images are read from their place in a tar: unpack it to .tar")
    try:
        images, classes = _members(path, left_out)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise InputError(f"{path}: is no whole tar: {error}") from None
    seen: set[str] = set()
    for key, member in images:
        folders = [*PurePath(key).parent.parts]
        # Members of one name belong together if any has its class so; else its folder is the class.
        label = classes.get(key) if classes else folders.pop() if folders else None
        if classes and key in seen:
            left_out.add("called as another image of their tar", PurePath(member.name).suffix)
        elif not label or (not classes and part_of(label)):
            left_out.add("without a class in its tar", path.name)
        else:
            part = next((name for name in reversed(folders) if part_of(name)), "")
            file = File(f"{path}/{member.name}", 0, str(path), member.offset_data, member.size)
            yield part, file, nfc(label)
        seen.add(key)


def _members(
    path: Path, left_out: LeftOut
) -> tuple[list[tuple[str, tarfile.TarInfo]], dict[str, str]]:
    """The images of a tar and the classes of those that have one in a member, by the names of both
    up to their first dot. Raises what tarfile does."""
    known = suffixes()
    found: dict[str, tuple[str, str, tarfile.TarInfo]] = {}
    classes: dict[str, str] = {}
    with _Bounded(io.FileIO(path)) as raw, tarfile.open(fileobj=raw, mode="r:") as tar:
        for member in tar:
            folder, name = os.path.split(os.path.normpath(member.name))
            stem, _, rest = name.partition(".")
            key, suffix = os.path.join(folder, stem), f".{rest}".lower()
            if member.isdir():
                continue
            if name.startswith("."):
                left_out.add("hidden", PurePath(name).suffix.lower() or name)
            elif not member.isreg():
                left_out.add("links in a tar", PurePath(name).suffix.lower())
            elif suffix in (*CLASS, ".json"):
                if (label := _label(tar, member, suffix)) is not None:
                    classes.setdefault(key, label)
            elif PurePath(name).suffix.lower() in known:
                found[os.path.join(folder, name)] = (key, suffix, member)  # the last one counts
            else:
                left_out.add_unknown(name)
        _check_end(path, tar.offset)
    images = found.values()
    parts = [suffix for _, suffix, _ in images if classes and suffix not in known]
    for suffix in parts:  # as 1.mask.png beside 1.jpg and 1.cls
        left_out.add("called as a part of another member of their tar", suffix)
    return [(key, member) for key, suffix, member in images if suffix not in parts], classes


def _check_end(path: Path, at: int) -> None:
    """Raises ReadError if no zeros end the tar: tarfile takes a torn header for its end."""
    with path.open("rb") as file:
        file.seek(at)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise tarfile.ReadError(f"it is cut off at byte {at:,}")


def _label(tar: tarfile.TarFile, member: tarfile.TarInfo, suffix: str) -> str | None:
    """What a member says of the class; None if it does not."""
    if member.size > LONGEST or (opened := tar.extractfile(member)) is None:
        return None
    with contextlib.suppress(ValueError, RecursionError):  # no JSON, no UTF-8
        text = opened.read().decode().strip()
        if suffix != ".json":
            return text or None
        value = json.loads(text)
        if isinstance(value, dict):
            found = [value[name] for name in LABELS if name in value]
            return str(found[0]) if found and isinstance(found[0], str | int) else None
    return None
