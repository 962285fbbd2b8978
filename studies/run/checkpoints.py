"""A run's checkpoints, as far as their index tells: how far a training is. Knows no torch.

`hnas.training.checkpoint` writes them, and reads the weights.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hnas.studies.run.folder import Run


def newest_meta(run: Run, path: Path) -> dict[str, Any]:
    """What the index of checkpoint `path` (without suffix) says of its newest version.

    Raises StateError if it is torn, TypeError, KeyError or IndexError if it has none.
    """
    index = run.read(f"{path.relative_to(run.folder)}.json")
    meta: dict[str, Any] = index["versions"][0]["meta"]
    return meta


def trained_epochs(run: Run, path: Path) -> int:
    """How far checkpoint `path` goes; 0 if there is none."""
    try:
        return int(newest_meta(run, path)["epoch"])
    except (TypeError, KeyError, IndexError, ValueError):
        return 0
