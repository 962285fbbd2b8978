"""What all benchmarks share: two things run in turn in one process, their ratio, and a JSON of it.

    python -m benchmarks.ROOM.NAME [--quick] [--threads 2] [--json FILE]

A ratio is the median over alternating runs (ours, theirs, ours, ...), so that whatever else the
machine does meets both alike; the lowest and the highest ratio of a pair tell how far to trust it.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hnas.cost.timing import in_turn, rotated, seconds
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import load_plan, load_preset


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured comparison."""

    name: str
    ours: float
    """Median, in `unit`."""
    theirs: float
    unit: str
    ratio: float
    """Median over the pairs: ours / theirs where `target` is `<= x`, else theirs / ours."""
    lowest: float
    highest: float
    pairs: int
    target: str | None
    """`<= 1.05` or `>= 2.5`; None where the ratio is only reported."""

    @property
    def reached(self) -> bool | None:
        if self.target is None:
            return None
        sense, bound = self.target.split()
        return self.ratio <= float(bound) if sense == "<=" else self.ratio >= float(bound)


def paper_preset(name: str) -> Plan:
    """A preset; if it has changed since, the plan that older numbers were measured with,
    plans/NAME-paper.toml."""
    older = Path(__file__).parent / "plans" / f"{name}-paper.toml"
    return load_plan(older) if older.exists() else load_preset(name)


def compare(
    name: str, ours: Iterable[float], theirs: Iterable[float], target: str | None, unit: str = "s"
) -> Row:
    """The row of two series that were measured in pairs."""
    mine, other = list(ours), list(theirs)
    faster = target is None or target.startswith(">=")
    ratios = [b / a if faster else a / b for a, b in zip(mine, other, strict=True)]
    return Row(
        name=name,
        ours=statistics.median(mine),
        theirs=statistics.median(other),
        unit=unit,
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        pairs=len(ratios),
        target=target,
    )


def alternate(
    ours: Callable[[], object], theirs: Callable[[], object], *, pairs: int, warm_up: int = 1
) -> tuple[list[float], list[float]]:
    """Wall times of both, run in turn; the order within a pair changes from pair to pair."""
    timers = (partial(seconds, ours), partial(seconds, theirs))
    spent = list(in_turn(timers, rotated(2, warm_up + pairs)))[warm_up:]
    return [mine for mine, _ in spent], [other for _, other in spent]


def table(rows: Iterable[Row]) -> str:
    """The rows in aligned columns, as printed."""
    lines = [f"{'':58} {'ours':>10} {'theirs':>10}      {'ratio':>9} {'lowest':>9} {'highest':>9}"]
    for row in rows:
        verdict = {None: "", True: "reached", False: "MISSED"}[row.reached]
        lines.append(
            f"{row.name:58} {row.ours:10.4g} {row.theirs:10.4g} {row.unit:4} {row.ratio:9.4g} "
            f"{row.lowest:9.4g} {row.highest:9.4g}  {row.target or '':8} {verdict}"
        )
    return "\n".join(lines)


def machine(threads: int) -> dict[str, object]:
    """What the numbers depend on."""
    packages = ("torch", "numpy", "optuna", "SQLAlchemy", "thop")
    return {
        "machine": platform.machine(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "threads": threads,
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in packages},
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def _version(package: str) -> str | None:
    """None where it is not installed."""
    with contextlib.suppress(PackageNotFoundError):
        return version(package)
    return None


def _cpu_model() -> str:
    """The processor's name and, as a cloud's name says little, its family and model."""
    found = {}
    cpuinfo = Path("/proc/cpuinfo")
    for line in cpuinfo.read_text().splitlines() if cpuinfo.is_file() else ():
        key, _, value = line.partition(":")
        found.setdefault(key.strip(), value.strip())
    if "model name" not in found:
        return platform.processor()
    return f"{found['model name']} (family {found['cpu family']}, model {found['model']})"


def kept(row: Row) -> dict[str, object]:
    """As it is written."""
    return {**asdict(row), "reached": row.reached}


def write_rows(path: Path, rows: list[dict[str, object]], threads: int, command: str) -> None:
    """Rows of any kind, with where and when they were measured."""
    about = {**machine(threads), "command": command, "rows": rows}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(about, indent=1) + "\n")


def main(measure: Callable[[bool], list[Row]], about: str | None) -> None:
    """The command line of a benchmark that compares: `measure(quick)` gives its rows."""
    report(measure, table, kept, about, threads=min(2, os.cpu_count() or 1))


def report(
    measure: Callable[[bool], list[Any]],
    table: Callable[[list[Any]], str],
    kept: Callable[[Any], dict[str, object]],
    about: str | None,
    *,
    threads: int = 1,
) -> None:
    """The command line of a benchmark with rows of any kind: how they are printed, and written."""
    parser = argparse.ArgumentParser(description=(about or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    import torch  # here, so that what needs no torch can be measured before

    torch.set_num_threads(options.threads)
    rows = measure(options.quick)
    print(table(rows), flush=True)
    if options.json:
        assert sys.modules["__main__"].__spec__
        command = f"python -m {sys.modules['__main__'].__spec__.name}"
        write_rows(options.json, [kept(row) for row in rows], options.threads, command)
