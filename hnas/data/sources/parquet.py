"""Parquet files with a column of images and one of labels, as Hugging Face's hub has them.

    train-00000-of-00002.parquet, test-00000-of-00001.parquet, in the folder or in data/ in it

The part of a file is the first word of its name, or the folder it lies in. An image is the bytes of
an image file, alone or as `bytes` of a struct; a label is a name, or a number whose name the file
may have. Needs pyarrow: pip install 'hnas[parquet]'.
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hnas.data.sources.files import File
from hnas.data.sources.labels import LABELS
from hnas.data.sources.listing import LeftOut, Listing, files_in, nfc, of_files
from hnas.data.sources.rows import open_table
from hnas.errors import InputError

IMAGES = ("image", "img", "images", "picture", "jpg", "png", "image_bytes", "bytes")
"""Names of the column of images, the likeliest first."""


def matches(place: Path) -> bool:
    """True if it is a Parquet file, or a folder that has some, or data/ or parts with some."""
    return bool(_tables(place))


def listing(place: Path) -> Listing:
    """The images of all files; none is decoded. Raises InputError if one has no such columns."""
    return of_files(place, _tables(place), _images, LeftOut())


def _tables(place: Path) -> list[Path]:
    return files_in(place, (".parquet",), "data")


def _images(path: Path) -> Iterator[tuple[str, File, str]]:
    table = open_table(path, *LABELS)
    schema = table.schema_arrow
    image, label = _column(path, schema.names, IMAGES), _column(path, schema.names, LABELS)
    names = _class_names(schema.metadata or {}, label)
    try:
        values = list(_values(table.read(columns=[label]).column(0)))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: its column {label} cannot be read: {error}") from None
    for row, value in enumerate(values):
        if isinstance(value, float):
            raise InputError(f"{path}: row {row}: a label must be a name or a number, got {value}")
        known = isinstance(value, int) and 0 <= value < len(names)
        said = names[value] if known else "" if value is None else str(value)
        yield "", File(f"{path}/{row}", 0, str(path), row, 0, image), nfc(said)


def _values(column: Any) -> Iterator[Any]:
    """The values of a column, of which equal ones are one object."""
    for chunk in column.chunks:
        if hasattr(chunk, "dictionary"):
            known = chunk.dictionary.to_pylist()
            yield from (None if i is None else known[i] for i in chunk.indices.to_pylist())
        else:
            yield from chunk.to_pylist()


def _column(path: Path, names: Sequence[str], known: Sequence[str]) -> str:
    found = next((name for name in known if name in names), None)
    if found is None:
        raise InputError(
            f"{path}: needs a column {' or '.join(known[:3])}, it has {', '.join(names)}"
        )
    return found


def _class_names(metadata: dict[bytes, bytes], label: str) -> list[str]:
    """The names of the classes by number, as the library `datasets` writes them."""
    with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return [str(name) for name in features[label]["names"]]
    return []
