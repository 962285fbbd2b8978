"""Folders of JPEG and PNG files, one folder a class.

    train/CLASS/*  and, for the test part, test/CLASS/* or else val/CLASS/*
    CLASS/*        directly: no test part

Classes and files are in sorted order; hidden ones and other files are left alone.
"""

import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from hnas.data.images import Images, Source
from hnas.data.sources.read import inside
from hnas.errors import InputError

SUFFIXES = (".jpg", ".jpeg", ".png")
FORMATS = ("JPEG", "PNG")
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "F")
"""Pillow's names for images without colour."""


def matches(folder: Path) -> bool:
    """True if the folder has folders in it."""
    return bool(_folders(folder, folder))


def load(folder: Path, *, image: int, channels: int, skip_bad: bool = False) -> Source:
    """Every image decoded, turned upright by its EXIF, centre-cropped and resized.

    With `skip_bad` files that are no images are left out and named in the Source. Raises InputError
    naming the class that is empty or unknown, or the file that is no image.
    """
    found = listing(folder)
    skipped: list[str] | None = [] if skip_bad else None
    _check_memory(folder, len(found.train) + len(found.test or []), channels * image**2)

    def part(files: list[Labelled]) -> Images:
        return _images(files, skipped, image=image, channels=channels)

    return Source(
        name=str(folder),
        train=part(found.train),
        test=None if found.test is None else part(found.test),
        classes=found.classes,
        skipped=tuple(skipped or ()),
    )


def _check_memory(folder: Path, images: int, size: int) -> None:
    """Raises InputError if so many images of `size` bytes cannot be in memory."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if images * size > memory:
        raise InputError(
            f"{folder}: {images:,} images take {images * size / 1e9:,.1f} GB decoded, this machine "
            f"has {memory / 1e9:,.1f} GB of memory. Decode them once, into files that are read "
            f"while training: hnas data pack {folder} --to PACK; then give --data PACK"
        )


Labelled = tuple[str, int]
"""A file, and the number of its class."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The files of a folder, in the order that their images have."""

    classes: tuple[str, ...]
    train: list[Labelled]
    test: list[Labelled] | None
    """None if there is no test part."""


def listing(folder: Path) -> Listing:
    """All files; none is opened. Raises InputError naming the class that is empty or unknown."""
    divided = (folder / "train").is_dir() and bool(_folders(folder / "train", folder))
    train = folder / "train" if divided else folder
    classes = tuple(path.name for path in _folders(train, folder))
    if len(classes) < 2:
        raise InputError(
            f"{train}: needs one folder a class and at least two classes, got {list(classes)}"
        )
    tests = [folder / name for name in ("test", "val") if divided and (folder / name).is_dir()]
    return Listing(
        classes=classes,
        train=_labelled(train, folder, classes),
        test=_labelled(tests[0], folder, classes) if tests else None,
    )


HEADERS = 200
"""Most headers that `headers` reads."""


def headers(files: list[str]) -> list[tuple[tuple[int, int], bool]]:
    """(width, height) in pixels and whether there is colour, of up to HEADERS files, evenly spaced.

    One that is no image is left out: whether it may be is for `load` to say. Raises InputError
    naming the last of them if there is no other.
    """
    found = []
    broken: InputError | None = None
    for i in range(min(len(files), HEADERS)):
        path = files[i * len(files) // min(len(files), HEADERS)]
        try:
            with Image.open(path, formats=FORMATS) as file:
                found.append((file.size, file.mode not in GREY))
        except Exception as error:
            broken = _unreadable(path, error)
    if broken is not None and not found:
        raise broken
    return found


def _unreadable(path: Path | str, error: Exception) -> InputError:
    return InputError(f"{path}: not a readable JPEG or PNG image: {error}")


def decode(path: Path, *, image: int, channels: int) -> torch.Tensor:
    """One JPEG or PNG -> uint8 (channels, image, image). Raises InputError naming the file."""
    try:
        with Image.open(path, formats=FORMATS) as file:
            # A large JPEG is decoded at a half, a quarter or an eighth, never below twice `image`.
            file.draft(None, (2 * image, 2 * image))
            upright = ImageOps.exif_transpose(file)
            if upright.mode.startswith("I"):
                # Pillow clips 16-bit grey at 255 instead of scaling it.
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            coloured = upright.convert("L" if channels == 1 else "RGB")
            fitted = ImageOps.fit(coloured, (image, image), Image.Resampling.BILINEAR)
            pixels = np.array(fitted)
    # Decoders of broken files raise whatever they stumble over.
    except Exception as error:
        raise _unreadable(path, error) from error
    return torch.from_numpy(pixels).view(image, image, channels).permute(2, 0, 1)


def decoded(
    files: Sequence[Labelled], skipped: list[str] | None, *, image: int, channels: int
) -> Iterator[tuple[str, int, torch.Tensor]]:
    """Each file, its class and its pixels, as `decode` gives them. A file that is no image is added
    to `skipped`; without that it is an InputError that says what to do."""
    with warnings.catch_warnings():
        # Odd metadata is no reason to stop, a picture that is a decompression bomb is.
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for path, label in files:
            try:
                pixels = decode(Path(path), image=image, channels=channels)
            except InputError as error:
                if skipped is None:
                    raise InputError(
                        f"{error}. Remove it, or leave such files out: --skip-bad-images"
                    ) from error
                skipped.append(path)
            else:
                yield path, label, pixels


def _folders(path: Path, root: Path) -> list[Path]:
    found = (p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    return [inside(p, root) for p in sorted(found)]


def _files(path: Path, root: Path) -> list[Path]:
    """The files of a folder inside `root`: only a link can lead out of it."""
    with os.scandir(path) as entries:
        found = sorted(
            (entry.name, entry.is_symlink())
            for entry in entries
            if entry.name.lower().endswith(SUFFIXES)
            and not entry.name.startswith(".")
            and entry.is_file()
        )
    return [inside(path / name, root) if link else path / name for name, link in found]


def _labelled(path: Path, root: Path, classes: tuple[str, ...]) -> list[Labelled]:
    found: list[Labelled] = []
    for folder in _folders(path, root):
        if folder.name not in classes:
            raise InputError(
                f"{folder}: class {folder.name!r} is unknown, the training part has "
                f"{', '.join(classes)}"
            )
        files = _files(folder, root)
        if not files:
            raise InputError(f"{folder}: a class needs images ({', '.join(SUFFIXES)}), got none")
        number = classes.index(folder.name)
        found += [(str(file), number) for file in files]
    return found


def _images(
    files: list[Labelled], skipped: list[str] | None, *, image: int, channels: int
) -> Images:
    pixels = torch.empty((len(files), channels, image, image), dtype=torch.uint8)
    labels: list[int] = []
    for _, label, one in decoded(files, skipped, image=image, channels=channels):
        pixels[len(labels)] = one
        labels.append(label)
    return Images(pixels=pixels[: len(labels)], labels=torch.tensor(labels, dtype=torch.int64))
