"""Every CPU benchmark, each in a process of its own: one table, and benchmarks/results/cpu.json.

python -m benchmarks.speed.cpu [--quick] [--only linear,scoring] [--threads 2] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.common import Row, kept, table, write_rows

SCRIPTS = (
    "linear",
    "local_head",
    "supernet_step",
    "augmentation",
    "scoring",
    "search_overhead",
    "architecture_cost",
    "startup",
)


def rows_of(script: str, arguments: list[str]) -> list[Row]:
    """Runs one benchmark, its output passed on, and reads its rows back."""
    with tempfile.TemporaryDirectory(prefix="hnas-bench-") as folder:
        found = Path(folder) / "rows.json"
        module = f"benchmarks.speed.{script}"
        command = [sys.executable, "-m", module, "--json", str(found), *arguments]
        subprocess.run(command, check=True)
        rows = json.loads(found.read_text())["rows"]
    return [Row(**{k: v for k, v in row.items() if k != "reached"}) for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--only", default=",".join(SCRIPTS), help=f"[{','.join(SCRIPTS)}]")
    parser.add_argument("--threads", type=int, default=min(2, os.cpu_count() or 1))
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/cpu.json"))
    options = parser.parse_args()
    arguments = ["--threads", str(options.threads), *(["--quick"] if options.quick else [])]
    rows = [row for script in options.only.split(",") for row in rows_of(script, arguments)]
    print(f"\n{table(rows)}")
    only = [] if options.only == ",".join(SCRIPTS) else ["--only", options.only]
    command = " ".join(["python -m benchmarks.speed.cpu", *only, *arguments])
    write_rows(options.json, [kept(row) for row in rows], options.threads, command)


if __name__ == "__main__":
    main()
