"""Cores and memory of a container, from files as Linux has them."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hnas.machine import (
    BRIEFLY,
    SPINS,
    cores,
    cpu_seconds,
    free_memory,
    peak_memory,
    wait_briefly,
)
from tests.support.forked import Process

GIB = 2**30


def system(place: Path, files: dict[str, str]) -> Path:
    for name, text in {"proc/meminfo": f"MemAvailable: {8 * GIB // 1024} kB\n", **files}.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return place


V1, V2 = "sys/fs/cgroup/memory", "sys/fs/cgroup"
LIMITS = {
    "version 2": {
        "proc/self/cgroup": "0::/job\n",
        f"{V2}/job/memory.max": f"{3 * GIB}\n",
        f"{V2}/job/memory.current": f"{2 * GIB}\n",
        f"{V2}/job/memory.stat": f"anon 5\ninactive_file {GIB // 2}\n",
    },
    "version 2, of the cgroup above": {
        "proc/self/cgroup": "0::/pod/job\n",
        f"{V2}/pod/job/memory.max": "max\n",
        f"{V2}/pod/job/memory.current": "7\n",
        f"{V2}/pod/memory.max": f"{2 * GIB}\n",
        f"{V2}/pod/memory.current": f"{GIB // 2}\n",
    },
    "version 1, seen from inside": {
        "proc/self/cgroup": "4:memory:/docker/abc\n1:name=systemd:/\n",
        f"{V1}/memory.limit_in_bytes": f"{2 * GIB}\n",
        f"{V1}/memory.usage_in_bytes": f"{GIB}\n",
        f"{V1}/memory.stat": f"total_inactive_file {GIB // 2}\n",
    },
}


@pytest.mark.parametrize("files", LIMITS.values(), ids=LIMITS)
def test_memory_is_what_the_container_leaves(tmp_path, files) -> None:
    assert free_memory(system(tmp_path, files)) == 3 * GIB // 2


@pytest.mark.parametrize(
    "files",
    [
        {},
        {"proc/self/cgroup": "0::/\n"},
        {"proc/self/cgroup": "0::/\n", f"{V2}/memory.max": "max\n", f"{V2}/memory.current": "5\n"},
        {
            "proc/self/cgroup": "4:memory:/\n",
            f"{V1}/memory.limit_in_bytes": f"{2**63 - 4096}\n",
            f"{V1}/memory.usage_in_bytes": "5\n",
        },
        {"proc/self/cgroup": "rubbish\n\n::\n", f"{V2}/memory.max": "rubbish"},
    ],
)
def test_without_a_limit_it_is_what_the_machine_has(tmp_path, files) -> None:
    assert free_memory(system(tmp_path, files)) == 8 * GIB


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/self/cgroup": "0::/a\n", f"{V2}/a/cpu.max": "100000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/a\n", f"{V2}/a/cpu.max": "50000 100000\n"}, 1),
        ({"proc/self/cgroup": "0::/a\n", f"{V2}/a/cpu.max": "max 100000\n"}, None),
        (
            {
                "proc/self/cgroup": "2:cpu,cpuacct:/a\n",
                f"{V2}/cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
                f"{V2}/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
            },
            1,
        ),
        (
            {
                "proc/self/cgroup": "2:cpu:/\n",
                f"{V2}/cpu/cpu.cfs_quota_us": "-1\n",
                f"{V2}/cpu/cpu.cfs_period_us": "100000\n",
            },
            None,
        ),
    ],
)
def test_cores_are_those_of_the_container(tmp_path, files, expected) -> None:
    assert cores(system(tmp_path, files)) == (expected or len(os.sched_getaffinity(0)))


def test_ulimit_counts() -> None:
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (10**9, 10**9));"
        "from hnas.machine import free_memory; print(free_memory())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 0 < int(ran.stdout) < 10**9


KEPT = """
import resource, sys
from hnas.machine import keep_freed_memory
import torch

kept = sys.argv[1] == "kept" and keep_freed_memory()
torch.set_num_threads(1)
sizes = [9 * 2**20] * 4
for step in range(7):
    if step == 4:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    held = [torch.ones(size) for size in sizes]
    del held
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's own way of keeping memory")
def test_memory_of_a_step_is_kept_for_the_next() -> None:
    found = {
        way: Process(["-c", KEPT, way]).communicate(timeout=300)[0].split()
        for way in ("kept", "given back")
    }
    assert found["kept"][0] == "True"
    assert int(found["kept"][1]) < 1_000 < 10_000 < int(found["given back"][1])


def test_the_peak_is_this_processes_not_that_of_the_one_that_started_it(tmp_path: Path) -> None:
    """`ru_maxrss` is inherited; it is the answer if Linux's file is not there."""
    held = bytearray(4 * 10**8)
    assert peak_memory() > len(held)
    code = "from hnas.machine import peak_memory; print(peak_memory())"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert 10**6 < int(said.stdout) < len(held)
    status = "Name:\tpython\nVmPeak:\t  99 kB\nVmHWM:\t    7 kB\nThreads:\t1\n"
    assert peak_memory(system(tmp_path, {"proc/self/status": status})) == 7 * 1024
    assert peak_memory(tmp_path / "elsewhere") > 10**7


@pytest.mark.parametrize("where", ["here", "in a process of its own"])
def test_cpu_time_is_that_of_other_processes_too(where: str) -> None:
    code = "import time\nwhile time.process_time() < until: pass"
    before = cpu_seconds()
    if where == "here":
        exec(code, {"until": time.process_time() + 0.2})
    else:
        subprocess.run([sys.executable, "-c", f"until = 0.2\n{code}"], check=True)
    assert 0.15 < cpu_seconds() - before < 30


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {SPINS: BRIEFLY}),
        ({SPINS: "7"}, {SPINS: "7"}),
        ({"OMP_WAIT_POLICY": "active"}, {"OMP_WAIT_POLICY": "active"}),
    ],
)
def test_threads_wait_briefly_unless_the_user_says_how_long(
    before: dict[str, str], after: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "environ", dict(before))
    wait_briefly()
    assert os.environ == after
