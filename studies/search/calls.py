"""Calls for workers: a search whose workers score asks for them, and says when it needs no more."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

from hnas.errors import StorageError
from hnas.studies.run.provenance import libraries
from hnas.studies.scoring.backend import Backend
from hnas.studies.scoring.local_backend import LocalBackend
from hnas.studies.scoring.queue_backend import QueueBackend
from hnas.studies.search.session import Session
from hnas.studies.trials import work_request


def call(session: Session, stage: int = 1) -> None:
    """Asks for workers if they score: for a stage, and to stay for all that come.

    Raises InputError if the storage is not for several processes, StorageError.
    """
    if session.lease is not None:
        work_request.check_shared(session.storage)
        folder, name = str(session.run.folder.resolve()), session.run.name
        asked = work_request.WorkRequest(
            run=folder, name=name, stage=stage, lease=session.lease, versions=libraries()
        )
        work_request.announce(session.study(stage), asked)


@contextmanager
def calling(session: Session) -> Iterator[None]:
    """Tells workers at its end, whatever the reason, that they are not needed any more."""
    try:
        yield
    finally:
        if work_request.is_shared(session.storage):
            with suppress(StorageError):
                work_request.dismiss(session.storage, session.run.name)


def backend(session: Session) -> Callable[..., Backend]:
    """The backend of a stage: workers score, or this process."""
    if session.lease is None:
        return LocalBackend
    return partial(QueueBackend, lease=session.lease, note=session.listener.note)
