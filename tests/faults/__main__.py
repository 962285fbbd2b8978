"""Try every fault: `python -m tests.faults [WORD ...]`.

WORDs choose the faults whose names contain one of them. Prints a table in Markdown; exits with 1
if anything was lost.
"""

from __future__ import annotations

import platform
import signal
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import tests.faults.several  # noqa: F401  its cases
from tests.faults.cases import CASES, NotPossible, Try
from tests.faults.lab import Lab

SHOWN = 200
"""Characters of a message in the table."""


def main() -> int:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a shell's background
    words = sys.argv[1:]
    chosen = [name for name in CASES if not words or any(word in name for word in words)]
    began = time.monotonic()
    failed = 0
    rows: list[tuple[str, ...]] = []
    with (
        tempfile.TemporaryDirectory(prefix="hnas-faults-") as place,
        closing(Lab(Path(place))) as lab,
    ):
        for name in chosen:
            tries: list[Try] = []
            try:
                for made in CASES[name](lab):
                    tries.append(made)
                    _tell(name, made)
            except NotPossible as reason:
                print(f"-     {name}: not tried, {reason}", file=sys.stderr)
                rows.append((name, "not tried", "", str(reason)))
                continue
            lost = sum(bool(made.lost) for made in tries)
            failed += lost
            rows.append(
                (name, f"{len(tries)}", f"{lost} times" if lost else "nothing", _said(tries, lab))
            )
    minutes = (time.monotonic() - began) / 60
    _print(rows)
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "optuna", "sqlalchemy"))
    total = sum(int(row[1]) for row in rows if row[1].isdigit())
    print(
        f"\n{total} faults in {minutes:.1f} minutes; "
        f"{platform.machine()}, Python {platform.python_version()}, {versions}, "
        f"{datetime.now(UTC):%Y-%m-%d}"
    )
    return 1 if failed else 0


def _tell(name: str, made: Try) -> None:
    print(f"{'LOST' if made.lost else 'ok  '}  {name}: {made.where}", file=sys.stderr, flush=True)
    for what in made.lost:
        print(f"      {what[:1000]}", file=sys.stderr, flush=True)


def _said(tries: list[Try], lab: Lab) -> str:
    """The message of the first that told something, without the folder of the experiment."""
    said = next((made.message for made in tries if made.message), "")
    short = said.replace(str(lab.place) + "/", "").replace("|", "/")
    return short[:SHOWN] + ("..." if len(short) > SHOWN else "")


def _print(rows: list[tuple[str, ...]]) -> None:
    print("| fault | tried | lost | message |\n|---|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    sys.exit(main())
