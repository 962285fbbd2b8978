"""Files of a run: written whole or not at all, read only if they are regular ones."""

import json
from pathlib import Path
from typing import Any

from hnas.errors import StateError
from hnas.persist.atomic import read_regular, write_atomic


def write(path: Path, data: bytes) -> None:
    """Writes a file of a run, whole or not at all. Raises StateError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, data)
    except OSError as error:
        raise StateError(
            f"{path} cannot be written: {error.strerror}. What was finished before is kept; "
            "free or unlock the folder and run again, or choose another --run"
        ) from None


def read_json(path: Path) -> Any:
    """What a JSON file holds; None if there is none. Raises StateError if it is torn."""
    try:
        return json.loads(read_regular(path))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise StateError(
            f"{path} cannot be read as JSON: {error}. Restore it, or delete it to make it again"
        ) from None
