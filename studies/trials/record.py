"""Records of finished trials, and the attributes that hold them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from hnas.architecture.arch import Arch
from hnas.persist.record import later
from hnas.studies.objective.costs import Priced, Spent

ARCH = "arch"
"""Attribute of a trial: its architecture; only trials of hnas have it."""
SCORE = ("loss", "seconds")
"""Attributes that scoring adds; the accuracy is a value of the trial."""
ERROR = "standard_error"
"""Attribute that scoring by another metric than accuracy adds."""
RIGHT = "right"
"""Attribute that scoring by accuracy adds, if there are not too many images."""


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
    right: str | None = later(None)
    """Which held-out images it is right on: `hnas.scoring.pairs`; None if that was not kept."""

    def __repr__(self) -> str:
        costs = f"{self.macs:,} MACs, {self.params:,} parameters"
        return f"Record(trial {self.number}, score {self.accuracy:.4f}, {costs}, {self.arch})"


class Told(Protocol):
    """A score, or the record of one."""

    @property
    def loss(self) -> float: ...
    @property
    def seconds(self) -> float: ...
    @property
    def error(self) -> float | None: ...
    @property
    def right(self) -> str | None: ...


def arch_attribute(arch: Arch) -> str:
    """The architecture as a trial has it: JSON with a space between blocks, where a page that shows
    it breaks its lines."""
    return arch.to_json().replace(",{", ", {")


def arch_key(attribute: str) -> str:
    """`Arch.to_json` of an attribute, also of one that was stored without spaces."""
    return attribute.replace(" ", "")


def cost_attributes(arch: Arch, spent: Priced) -> dict[str, Any]:
    """The attributes of a trial before it is scored."""
    latency = {} if spent.latency is None else {"latency_ns": spent.latency}
    return {ARCH: arch_attribute(arch), "macs": spent.macs, "params": spent.params, **latency}


def spent_of(attrs: Mapping[str, Any]) -> Spent:
    """The costs in a trial's attributes: the inverse of `cost_attributes`, as is `arch_of`."""
    return Spent(macs=attrs["macs"], params=attrs["params"], latency=attrs.get("latency_ns"))


def arch_of(attrs: Mapping[str, Any]) -> Arch:
    """The architecture in a trial's attributes."""
    return Arch.from_json(attrs[ARCH])


def score_attributes(score: Told) -> dict[str, Any]:
    """The attributes SCORE, and ERROR and RIGHT if the score has them."""
    found = {"loss": score.loss, "seconds": score.seconds, ERROR: score.error, RIGHT: score.right}
    return {name: value for name, value in found.items() if value is not None}
