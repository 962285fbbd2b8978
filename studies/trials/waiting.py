"""Waiting times of searches and workers, which know each other only through a database."""

import time

LEASE = 20.0
"""Seconds without a sign of life after which a search takes a worker for lost."""
IDLE = 300.0
"""Seconds after which a worker ends if no search asks for workers."""
PAUSES = (0.02, 0.5)
"""Seconds between two looks at the queue: after one that found something, and at most."""


class Pause:
    """Pauses between looks that find nothing, longer and longer."""

    def __init__(self) -> None:
        self._next = PAUSES[0]

    def reset(self) -> None:
        self._next = PAUSES[0]

    def wait(self) -> None:
        time.sleep(self._next)
        self._next = min(1.5 * self._next, PAUSES[1])
