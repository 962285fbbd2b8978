"""Loading a data set by its name; its images are resized once."""

import difflib
import os
from dataclasses import replace
from pathlib import Path

import torch

from hnas.data.images import Images, Source
from hnas.data.pixels import CHANNELS
from hnas.data.size import Size
from hnas.data.sources import (
    cifar,
    folders,
    follow,
    functions,
    given,
    idx,
    pack,
    parquet,
    tables,
    tars,
)
from hnas.data.sources.files import check_memory, suffixes
from hnas.data.sources.listing import LeftOut, Listing
from hnas.errors import InputError
from hnas.settings import CODE

DIGITS = "digits"
FILES = (*tables.SUFFIXES, *tars.SUFFIXES, ".parquet")
"""The suffixes of single files that are a source."""


def load(
    source: str,
    *,
    image: int,
    channels: int,
    root: Path | None = None,
    skip_bad: bool = False,
    background: str = "white",
    interpolation: str = "bilinear",
    crop_pct: float = 1.0,
) -> Source:
    """The images of a source, `channels` x `image` x `image`.

    `source` is `digits` (scikit-learn's 1,797 of 8 x 8), a folder (IDX, CIFAR binary, class folders
    or a pack, told apart by what is in it), the bare name of a folder in `root` (by default here,
    then in $HNAS_DATA and ./data), or `module:function`. A pack's images stay in their files. With
    `skip_bad` files that are no images are left out; transparent ones are laid on `background`.
    All are resized by `interpolation`, of `hnas.data.decode.INTERPOLATIONS`, and `crop_pct` of
    their shorter side is seen.

    Raises InputError, naming the file, the rule and the value, if anything is malformed.
    """
    if image < 1 or channels not in CHANNELS:
        raise InputError(
            f"images must be of at least 1 pixel and of 1 or 3 channels, "
            f"got image={image}, channels={channels}"
        )
    size = Size(image, channels, background, interpolation, crop_pct)
    found = read_source(source, root, size, skip_bad=skip_bad)
    _check_packed(found, size)
    _check_memory(found, size)
    return replace(found, train=found.train.fit(size), test=found.test and found.test.fit(size))


def _check_memory(found: Source, size: Size) -> None:
    """Raises InputError if images in memory cannot be there in another size too."""
    shape = (size.channels, size.image, size.image)
    parts = [part for part in (found.train, found.test) if part is not None]
    more = [p for p in parts if isinstance(p.pixels, torch.Tensor) and p.pixels.shape[1:] != shape]
    if more:
        check_memory(found.name, sum(map(len, more)), size, folder="FOLDER-OF-THEIR-FILES")


def _check_packed(found: Source, size: Size) -> None:
    """Raises InputError if a pack's images were made in another way than is asked."""
    for name, said in (
        ("background", "has transparent images laid on"),
        ("interpolation", "has images resized by"),
    ):
        packed, asked = getattr(found, name), getattr(size, name)
        if packed not in (None, asked):
            raise InputError(
                f"{found.name}: the pack {said} {packed}, you asked for {asked}. Change "
                f"data.{name} in the plan, or pack again: hnas data pack --{name} {asked}"
            )
    if found.crop_pct not in (None, size.crop_pct):
        raise InputError(
            f"{found.name}: has squares, of which data.crop_pct = {size.crop_pct:g} cannot be cut. "
            f"Set it to 1 in the plan; a pack has whole pictures by hnas data pack {size.packing}"
        )


def known(root: Path | None = None) -> list[str]:
    """The bare names that `load` would find, sorted."""
    names = {p.name for r in _roots(root) if r.is_dir() for p in r.iterdir() if p.is_dir()}
    return sorted({DIGITS, *(name for name in names if not name.startswith("."))})


def _roots(root: Path | None) -> list[Path]:
    if root is not None:
        return [root]
    named = os.environ.get("HNAS_DATA")
    return [*([Path(named)] if named else []), Path("data")]


def listed(source: str, root: Path | None = None) -> Listing | None:
    """The image files of a source; None if it is of another kind. Raises InputError if they are not
    as its kind has them."""
    place = None if source == DIGITS else _place(source, root)
    return None if place is None else _listed(place)


def _listed(place: Path) -> Listing | None:
    try:
        if place.is_dir():
            if any(kind.matches(place) for kind in (pack, idx, cifar)):
                return None
            if folders.has_classes(place):
                return folders.listing(place)
        kinds = (tables, tars, parquet, *([folders] if place.is_dir() else []))
        return next((kind.listing(place) for kind in kinds if kind.matches(place)), None)
    except OSError as error:
        raise InputError(f"{place}: cannot be read: {error}") from error


def is_there(source: str) -> bool:
    """Whether a source that was once loaded can still be found."""
    path = source != DIGITS and not CODE.fullmatch(source) and not given.NAME.fullmatch(source)
    return not path or _place(located(source), None) is not None


def located(source: str) -> str:
    """A source that is a folder, by its absolute path; others by their name.

    A folder that is not there is looked for by its last name in $HNAS_DATA and in ./data.
    """
    if source == DIGITS:
        return source
    folder = _place(source, None)
    if folder is None and os.path.isabs(source):
        folder = _place(Path(source).name, None)
    return source if folder is None else os.path.abspath(folder)


def _place(source: str, root: Path | None) -> Path | None:
    """The folder of a name or a path: here, else by its bare name in the roots."""
    bare = source not in (".", "..") and Path(source).name == source
    here = Path(os.path.expanduser(source))
    places = [here, *(path / source for path in _roots(root) if bare)]
    folder = next((path for path in places if os.path.isdir(path)), None)
    files = (path for path in places if path.name.lower().endswith(FILES) and os.path.isfile(path))
    return folder or next(files, None)


def read_source(source: str, root: Path | None, size: Size, *, skip_bad: bool = False) -> Source:
    """The same as `load`, but only image files are resized, as they are read."""
    if source == DIGITS:
        return _digits()
    if given.NAME.fullmatch(source):
        return given.load(source, size)
    folder = _place(source, root)
    if folder:
        listing = _listed(folder)
        return listing.load(size, skip_bad=skip_bad) if listing else _folder(folder)
    if CODE.fullmatch(source):
        return functions.load(source)
    names = known(root)
    close = difflib.get_close_matches(source, names, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    places_read = " or ".join(["here", *(f"in {path}" for path in _roots(root))])
    raise InputError(
        f"data source {source!r} is unknown: there is no such folder {places_read}. "
        f"Known: {', '.join(names)}; or a path, or module:function.{hint}"
    )


def _folder(folder: Path) -> Source:
    try:
        if pack.matches(folder):
            opened = pack.open_pack(folder)
            source = opened.source()
            images = len(source.train) + len(source.test or ())
            said = changed(opened) if images <= follow.LOOKED else ""
            return replace(source, notes=(*source.notes, said)) if said else source
        if idx.matches(folder) and cifar.matches(folder):
            raise InputError(f"{folder}: holds IDX and CIFAR files; keep one data set a folder")
        if idx.matches(folder):
            return _alone(idx.load(folder), folder)
        if cifar.matches(folder):
            return _alone(cifar.load(folder), folder)
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read: {error}") from error
    raise InputError(
        f"{folder}: a data folder holds IDX files (train-images-idx3-ubyte, ...), CIFAR files "
        "(data_batch_1.bin or train.bin, ...), what hnas data pack wrote, a table of image files "
        "and labels (.csv), tars or Parquet files of images, or one folder of image files a class, "
        f"got {', '.join(names[:5]) or 'nothing'}"
    )


def _alone(found: Source, folder: Path) -> Source:
    """A source with a note of image files that lie beside those that it read."""
    left_out = LeftOut()
    left_out.add_beside(folder, (), suffixes())
    return replace(found, notes=(*found.notes, *left_out.notes))


def changed(opened: pack.Pack) -> str:
    """How the source of a pack differs from what was packed, one sentence; empty if it does not, or
    is not here."""
    place = Path(opened.index.place)
    if not opened.index.place or not place.exists():
        return ""
    try:
        found = _listed(place)
        return follow.changes(opened, found) if found else ""
    except (InputError, OSError) as error:
        return f"{place} cannot be compared with its pack any more: {error}"


def _digits() -> Source:
    # Takes a second to import, and only this source needs it.
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = torch.from_numpy(digits.images * 255 / 16).round().to(torch.uint8)
    labels = torch.from_numpy(digits.target.astype("int64"))
    train = Images(pixels=pixels.unsqueeze(1), labels=labels)
    return Source(name=DIGITS, train=train, test=None, classes=tuple(map(str, digits.target_names)))
