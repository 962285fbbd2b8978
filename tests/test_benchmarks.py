"""Every benchmark runs, with tiny sizes, and prints its ratios; what they are is not tested."""

import json
import os
import re
import subprocess
import sys

import pytest

SCRIPTS = (
    "local_head",
    "supernet_step",
    "augmentation",
    "scoring",
    "search",
    "architecture_cost",
    "startup",
)
ROW = re.compile(r"^\S.*? +[\d.e+-]+ +[\d.e+-]+ s +(?P<ratio>[\d.e+-]+) ", re.MULTILINE)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_benchmark_prints_and_writes_its_ratios(root, tmp_path, script):
    written = tmp_path / "rows.json"
    arguments = ["--quick", "--threads", "1", "--json", str(written)]
    # Without a server that a developer may have named: PostgreSQL is for full runs.
    environment = {k: v for k, v in os.environ.items() if k != "HNAS_BENCH_POSTGRES"}
    ran = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{script}", *arguments],
        cwd=root, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    printed = [float(ratio) for ratio in ROW.findall(ran.stdout)]
    found = json.loads(written.read_text())
    assert len(printed) == len(found["rows"]) >= 1
    assert printed == pytest.approx([row["ratio"] for row in found["rows"]], rel=1e-3)
    assert all(ratio > 0 for ratio in printed)
    assert {"cpu", "cores", "threads", "versions", "date", "command"} <= set(found)


def test_all_are_run_by_the_one_command(root):
    code = "from benchmarks.cpu import SCRIPTS; print(*SCRIPTS)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert tuple(ran.stdout.split()) == SCRIPTS
