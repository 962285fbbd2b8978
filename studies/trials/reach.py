"""Reaching a database server that may not be up yet: searches and workers wait for it alike."""

import time
from collections.abc import Callable

from optuna.storages import RDBStorage

from hnas.errors import StorageError
from hnas.studies.trials import database
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.work_request import check_shared

AGAIN = 2.0
"""Seconds between two tries."""


def reach(
    url: str,
    patience: float | None = None,
    note: Callable[[str], None] = lambda text: None,
    *,
    create: bool = False,
) -> RDBStorage:
    """The storage on a server, as soon as it is there. Workers wait also for the tables, which a
    search makes, with `create`.

    Raises InputError at once, StorageError after `patience` seconds (None: PATIENCE of `database`).
    """
    patience = database.PATIENCE if patience is None else patience
    until, noted = time.monotonic() + patience, False
    while True:
        try:
            storage = open_storage(url, create=create)
            check_shared(storage)
            return storage
        except StorageError as error:
            if time.monotonic() > until:
                raise
            if not noted:
                note(f"{error}. It is asked again for {patience:.0f} s")
                noted = True
        time.sleep(AGAIN)
