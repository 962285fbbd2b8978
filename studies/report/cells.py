"""Cells of a report's tables: numbers, intervals, costs."""

from __future__ import annotations

from collections.abc import Sequence

from hnas.studies.objective.costs import MEASURES, Priced
from hnas.studies.run.interval import Interval


def costs_of(networks: Sequence[Priced]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and each network's cells; milliseconds only if a network has them."""
    timed = any(network.latency is not None for network in networks)
    columns = ("MACs", *("ms",) * timed, "parameters")
    return columns, [
        (f"{one.macs:,}", *(number(MEASURES["latency"].of(one)),) * timed, f"{one.params:,}")
        for one in networks
    ]


def span(interval: Interval) -> str:
    return f"{interval.low:.4f} to {interval.high:.4f}"


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
