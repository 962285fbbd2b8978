"""The run of a decision: made, or continued."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from hnas.studies.plan.fixed import SOURCE
from hnas.studies.request.decide import Decision

if TYPE_CHECKING:
    from hnas.studies.run.folder import Run


def begin(decision: Decision) -> Run:
    """The run of a decision, made or continued.

    Raises MismatchError if it has begun with another plan or other images, or if its storage has
    studies of another run of its name; BusyError if another process works on it with another plan,
    StorageError if its storage does not answer.
    """
    from hnas.studies.run.folder import Run, begin_run
    from hnas.studies.trials.database import open_storage

    request, begun, plan = decision.request, decision.begun, decision.plan
    if begun is None and request.storage is not None:
        from hnas.studies.run.owner import check_free

        open_storage(request.storage, create=True)  # one that does not answer is not kept
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


@contextmanager
def beginning(decision: Decision) -> Iterator[Run]:
    """The run of a decision, made or continued, for a search: one that was made and fails before
    its images are split is removed. Raises as `begin` does."""
    from hnas.studies.run.folder import SPLIT, discard

    made = [each for each in (decision.folder, decision.folder.parent) if not each.exists()]
    run = begin(decision)
    try:
        yield run
    except Exception:
        if decision.begun is None and not (run.folder / SPLIT).exists():
            discard(run, made)
        raise
