"""The run of a decision: made, or continued."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from hnas.errors import HnasError
from hnas.studies.plan.fixed import SOURCE
from hnas.studies.request.decide import Decision

if TYPE_CHECKING:
    from hnas.studies.run.folder import Run


def begin(decision: Decision, note: Callable[[str], None] = lambda text: None) -> Run:
    """The run of a decision, made or continued. A server of studies that is not up yet is waited
    for; `note` gets a sentence about it.

    Raises MismatchError if it has begun with another plan or other images, or if its storage has
    studies of another run of its name; BusyError if another process works on it with another plan,
    StorageError if its storage does not answer.
    """
    from hnas.studies.run.folder import Run, begin_run

    request, begun, plan = decision.request, decision.begun, decision.plan
    if request.storage is not None:
        _open(request.storage, note, create=begun is None)  # one that does not answer is not kept
    if begun is None and request.storage is not None:
        from hnas.studies.run.owner import check_free

        name = decision.folder.resolve().name
        check_free(Run(decision.folder, plan, request.storage, name), request.storage)
    moved = False
    if begun is not None and {*begun.changes(plan, rescore=request.rescore)} == {SOURCE}:
        from hnas.studies.run.images import prove

        prove(begun, plan)
        moved = True
    # The plan of a run that another process works on is left alone.
    with begun.hold() if begun and begun.plan != plan else nullcontext():
        return begin_run(
            decision.folder,
            plan,
            storage=request.storage,
            rescore=request.rescore,
            moved=moved,
            asked=request.budget.shares | ({"time": request.time} if request.time else {}),
        )


def _open(storage: str, note: Callable[[str], None], *, create: bool) -> None:
    """Opens a storage once, so that it is there."""
    from hnas.studies.trials.database import close_storage, open_storage
    from hnas.studies.trials.reach import reach

    if not storage.startswith("sqlite"):
        close_storage(reach(storage, note=note, create=True))
    elif create:
        close_storage(open_storage(storage, create=True))


@contextmanager
def beginning(decision: Decision, note: Callable[[str], None]) -> Iterator[Run]:
    """The run of a decision, made or continued, for a search: one that was made and fails before
    its images are split is removed, with its studies. `note` and errors as of `begin`."""
    from hnas.studies.run.folder import SPLIT, discard

    made = [each for each in (decision.folder, decision.folder.parent) if not each.exists()]
    run = begin(decision, note)
    try:
        yield run
    except Exception:
        if decision.begun is None and not (run.folder / SPLIT).exists():
            from hnas.studies.run.owner import release  # which imports Optuna

            with suppress(HnasError):  # the error at hand is the one to tell
                release(run)
            discard(run, made)
        raise
