"""A port for a server of a test."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """One of 127.0.0.1 that nobody has.

    Below those that the system gives to whoever asks for any: between this look and the server's,
    another process of the machine would get it.
    """
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(10_000, 30_000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
