"""Records of finished trials, and the attributes that hold them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hnas.architecture.arch import Arch
from hnas.persist.record import later
from hnas.studies.objective.costs import Priced, Spent

ARCH = "arch"
"""Attribute of a trial: its architecture; only trials of hnas have it."""
SCORE = ("loss", "seconds")
"""Attributes that scoring adds; the accuracy is a value of the trial."""
ERROR = "standard_error"
"""Attribute that scoring by another metric than accuracy adds."""


@dataclass(frozen=True, kw_only=True)
class Record:
    """A finished trial."""

    number: int
    """Of the trial in its study, from 0."""
    generation: int
    arch: Arch
    accuracy: float
    """Held-out accuracy, 0 to 1, or what else the plan's metric measures."""
    loss: float
    """Held-out loss, in nats."""
    macs: int
    params: int
    seconds: float
    """Wall time that scoring took."""
    latency: int | None = None
    """Nanoseconds of a batch by the latency table; None if the search has none."""
    error: float | None = later(None)
    """Standard error of the accuracy; None if that of a share of the held-out images."""


def cost_attributes(arch: Arch, spent: Priced) -> dict[str, Any]:
    """The attributes of a trial before it is scored."""
    latency = {} if spent.latency is None else {"latency_ns": spent.latency}
    return {ARCH: arch.to_json(), "macs": spent.macs, "params": spent.params, **latency}


def spent_of(attrs: Mapping[str, Any]) -> Spent:
    """The costs in a trial's attributes: the inverse of `cost_attributes`, as is `arch_of`."""
    return Spent(macs=attrs["macs"], params=attrs["params"], latency=attrs.get("latency_ns"))


def arch_of(attrs: Mapping[str, Any]) -> Arch:
    """The architecture in a trial's attributes."""
    return Arch.from_json(attrs[ARCH])


def score_attributes(loss: float, seconds: float, error: float | None = None) -> dict[str, float]:
    """The attributes SCORE, and ERROR if there is one."""
    found = dict(zip(SCORE, (loss, seconds), strict=True))
    return found if error is None else {**found, ERROR: error}
