"""Cells of a report's tables: numbers and costs."""

from collections.abc import Sequence

from hnas.studies.objective.costs import MEASURES, Priced


def costs_of(networks: Sequence[Priced]) -> dict[str, list[str]]:
    """Columns of costs; milliseconds only if a network has them."""
    latencies = [number(MEASURES["latency"].of(one)) for one in networks]
    return {
        "MACs": [f"{one.macs:,}" for one in networks],
        **({"ms": latencies} if any(latencies) else {}),
        "parameters": [f"{one.params:,}" for one in networks],
    }


def number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
