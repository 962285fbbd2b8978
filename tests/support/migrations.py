"""Optuna's migrations, read once by a process. Whenever a storage is opened Optuna runs the files
of all of them to know the newest, which takes longer than the rest of opening it."""

from __future__ import annotations

import sys
from typing import Any


def read_once() -> None:
    """From now on, if Optuna's storages are imported: what needs none does without."""
    if (storage := sys.modules.get("optuna.storages._rdb.storage")) is None:
        return
    manager: Any = storage._VersionManager
    read, found = manager._create_alembic_script, []

    def script(self: Any) -> Any:
        if not found:
            found.append(read(self))
        return found[0]

    manager._create_alembic_script = script
