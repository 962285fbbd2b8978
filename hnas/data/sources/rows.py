"""Rows of Parquet files, read by groups. Needs pyarrow: pip install 'hnas[parquet]'."""

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from hnas.errors import InputError

SMALLEST, MOST, ROOM = 8, 64, 2**26
"""Bytes of the smallest image file, how far a Parquet file may be packed, and bytes above that."""


def open_table(path: str | Path, *columns: str) -> Any:
    """A pyarrow.parquet.ParquetFile, whose `columns` of text or bytes keep equal values once, as
    the file does. Raises InputError if it cannot be read, or claims more than it can hold."""
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise InputError(
            f"{path}: Parquet files need the package pyarrow: pip install 'hnas[parquet]'"
        ) from None
    try:
        table = pq.ParquetFile(path)
        every = map(table.metadata.schema.column, range(table.metadata.num_columns))
        once = [c.path for c in every if c.path in columns and c.physical_type == "BYTE_ARRAY"]
        if once:
            table.close()
            table = pq.ParquetFile(path, read_dictionary=once)
    except (OSError, ValueError) as error:  # pyarrow's errors are such
        raise InputError(f"{path}: is no whole Parquet file: {error}") from None
    rows, there = table.metadata.num_rows, os.path.getsize(path)
    groups = map(table.metadata.row_group, range(table.metadata.num_row_groups))
    unpacked = sum(group.total_byte_size for group in groups)
    if rows * SMALLEST > there or unpacked > ROOM + MOST * there:
        table.close()
        raise InputError(
            f"{path}: {there:,} bytes cannot hold {rows:,} images that take {unpacked:,} bytes "
            f"unpacked: an image file has {SMALLEST} or more, and is packed to a {MOST}th at most"
        )
    return table


def image_bytes(path: str, column: str, row: int) -> bytes:
    """The content of one image. Raises InputError, OSError."""
    starts = _starts(path)
    group = max(i for i, start in enumerate(starts) if start <= row)
    value = _group(path, column, group)[row - starts[group]].as_py()
    content = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(content, bytes):
        raise InputError("has no bytes of an image in this row")
    return content


@lru_cache(maxsize=64)
def _starts(path: str) -> list[int]:
    """The first row of each group."""
    metadata = open_table(path).metadata
    counts = [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)]
    return [sum(counts[:i]) for i in range(len(counts))]


def largest_group(path: str, column: str) -> int:
    """Bytes of the images of a file's largest group of rows."""
    metadata, found = open_table(path).metadata, [0]
    for i in range(metadata.num_row_groups):
        group = metadata.row_group(i)
        columns = map(group.column, range(group.num_columns))
        names = (column, f"{column}.bytes")
        found.append(sum(c.total_uncompressed_size for c in columns if c.path_in_schema in names))
    return max(found)


_kept: dict[tuple[str, str, int], Any] = {}
"""The group of rows that was read last."""


def forget() -> None:
    """Gives the memory of that group back."""
    _kept.clear()


def _group(path: str, column: str, group: int) -> Any:
    """The images of a group of rows, which are read together: a pyarrow.ChunkedArray."""
    key = (path, column, group)
    if key not in _kept:
        forget()  # never two of them
        table = open_table(path, column, f"{column}.bytes")
        _kept[key] = table.read_row_group(group, columns=[column]).column(0)
    return _kept[key]
