"""Waiting times of searches and workers, which know each other only through a database."""

import time

LEASE = 20.0
"""Seconds without a sign of life after which a search takes a worker for lost."""
IDLE = 300.0
"""Seconds after which a worker ends if no search asks for workers."""
PAUSES = (0.02, 0.5)
"""Seconds between two looks at the queue, at least and at most."""


class Pause:
    """Pauses between looks that find nothing, longer and longer.

    The first is a quarter of what the last find was waited for, so that what comes slowly is not
    looked for often, and is late by a quarter at most.
    """

    def __init__(self) -> None:
        self._next, self._waited = PAUSES[0], 0.0

    def reset(self) -> None:
        """Something is found."""
        self._next = min(max(PAUSES[0], self._waited / 4), PAUSES[1])
        self._waited = 0.0

    def wait(self) -> None:
        time.sleep(self._next)
        self._waited += self._next
        self._next = min(1.5 * self._next, PAUSES[1])
