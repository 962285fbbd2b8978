"""A run's latency table: measured once, then kept. Knows no torch.

What a search finds is a function of the table, not of the clock: a machine that resumes the run
uses the same table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hnas.cost.latency_table import LatencyTable
from hnas.errors import InputError, StateError
from hnas.persist.record import recorded, restored
from hnas.studies.objective.costs import Costs
from hnas.studies.run.folder import Run

FILE = "latency.json"
HERE = ("device", "cpu", "threads", "torch")
"""The values that distinguish the latencies of one machine from another's."""


@dataclass(frozen=True, kw_only=True)
class TableError:
    """How far a table's sums are from whole networks, measured in turn with its blocks."""

    networks: int
    mean: float
    """Of |sum / measured - 1|."""
    worst: float
    bias: float
    """The mean of sum / measured - 1: above 0 the sums are too slow."""
    tau: float | None
    """Kendall's tau-b between sums and measured; None if one of them has no order."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A table, and what it was measured on. Raises InputError if that lacks something."""

    error: TableError
    frame: Mapping[str, Any]
    """Of its networks, as `hnas.persist.record.recorded` has it."""
    table: LatencyTable
    environment: Mapping[str, Any]
    """Device, threads, versions, date."""

    def __post_init__(self) -> None:
        if missing := [name for name in HERE if name not in self.environment]:
            raise InputError(f"a latency table must say its {', '.join(missing)}")

    @property
    def words(self) -> str:
        """What a person should know of it, in one sentence."""
        table, found, here = self.table, self.error, self.environment
        on = here["cpu"] if here["device"] == "cpu" else here["device"]
        tau = "" if found.tau is None else f", Kendall's tau {found.tau:.2f}"
        threads = "1 CPU thread" if here["threads"] == "1" else f"{here['threads']} CPU threads"
        return (
            f"latencies of {len(table.blocks)} blocks on {on}, {threads}, "
            f"batch {table.batch} (spread {table.spread:.1%}); sums of them are off by "
            f"{found.mean:.1%} on average, {found.worst:.1%} at worst, on {found.networks} random "
            f"networks{tau}"
        )

    def elsewhere(self, here: Mapping[str, Any]) -> str:
        """How this machine differs from that of the table, in words; empty if it does not."""
        its = self.environment
        return ", ".join(f"{n} {its[n]} -> {here[n]}" for n in HERE if its[n] != here[n])

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it: what describes the machine is at the top."""
        value = recorded(self)
        return {**value.pop("environment"), **value}


def read_measured(run: Run) -> Measured | None:
    """The run's latency.json; None if it has none. Raises StateError if it is damaged."""
    value = run.read(FILE)
    if value is None:
        return None
    try:
        own = {name: value.pop(name) for name in ("error", "frame", "table")}
        return restored(Measured, {**own, "environment": value})
    except (InputError, KeyError, TypeError, AttributeError) as error:
        raise StateError(
            f"{run.folder / FILE} is no latency table ({type(error).__name__}: {error}). "
            "Restore it: a table measured again would give other latencies"
        ) from None


def write_measured(run: Run, measured: Measured) -> None:
    """The inverse of `read_measured`. Raises StateError."""
    run.write(FILE, measured.to_dict())


def read_costs(run: Run) -> Costs:
    """What the run minimises and allows, as far as it is known: its table may be still to come."""
    measured = read_measured(run) if run.plan.needs_latency else None
    return run.plan.costs(measured.table if measured else None)
