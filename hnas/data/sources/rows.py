"""Rows of Parquet files, read by groups. Needs pyarrow: pip install 'hnas[parquet]'."""

from functools import lru_cache
from pathlib import Path
from typing import Any

from hnas.errors import InputError


def open_table(path: str | Path) -> Any:
    """A pyarrow.parquet.ParquetFile. Raises InputError if it cannot be read."""
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise InputError(
            f"{path}: Parquet files need the package pyarrow: pip install 'hnas[parquet]'"
        ) from None
    try:
        return pq.ParquetFile(path)
    except (OSError, ValueError) as error:  # pyarrow's errors are such
        raise InputError(f"{path}: is no whole Parquet file: {error}") from None


def image_bytes(path: str, column: str, row: int) -> bytes:
    """The content of one image. Raises InputError, OSError."""
    starts = _starts(path)
    group = max(i for i, start in enumerate(starts) if start <= row)
    value = _group(path, column, group)[row - starts[group]]
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


@lru_cache(maxsize=1)
def _group(path: str, column: str, group: int) -> list[Any]:
    """The images of a group of rows, which are read together."""
    found: list[Any] = (
        open_table(path).read_row_group(group, columns=[column]).column(0).to_pylist()
    )
    return found
