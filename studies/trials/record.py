"""A finished trial and a study, as records."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hnas.architecture.arch import Arch


@dataclass(frozen=True, kw_only=True)
class Record:
    """A finished trial."""

    number: int
    """Of the trial in its study, from 0."""
    generation: int
    arch: Arch
    accuracy: float
    """Held-out accuracy, 0 to 1."""
    loss: float
    """Held-out loss, in nats."""
    macs: int
    params: int
    seconds: float
    """Wall time that scoring took."""
    latency: int | None = None
    """Nanoseconds of a batch by the latency table; None where the search has none."""


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A study as it was when it was read."""

    name: str
    user_attrs: dict[str, Any]
    records: tuple[Record, ...]
    """The trials that `write_trial` stored, by number."""
