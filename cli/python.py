"""`hnas.search`: that of `hnas.studies.api`, with progress for the person who called it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Unpack

from hnas.studies.api import Asked, Callback, Found
from hnas.studies.api import search as silent
from hnas.studies.search.events import Listener, Listeners


def search(
    *,
    listener: Listener | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool | None = None,
    **asked: Unpack[Asked],
) -> Found:
    """Searches for an architecture, or resumes a run, as `hnas.studies.api.search`.

    With `progress` it shows how far it is, as `hnas search` does; None: in a terminal and in a
    notebook, unless a `listener` is given.
    """
    if progress is None:
        progress = listener is None and (sys.stdout.isatty() or _notebook())
    if not progress:
        return silent(listener=listener, callbacks=callbacks, **asked)
    from hnas.cli.screen.progress import display

    with display() as shown:
        heard = Listeners(shown, listener or Listener())
        return silent(listener=heard, callbacks=callbacks, **asked)


def _notebook() -> bool:
    """Whether a kernel of IPython runs this."""
    return "ipykernel" in sys.modules
