"""What all tests share."""

from __future__ import annotations

import gc
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# Until all is imported: what a module makes stays, and looking for garbage among it takes a quarter
# of the time of importing. `pytest_collection_finish` begins it.
gc.disable()

# Before torch is imported: sums, and so the tests' numbers, depend on the number of threads.
os.environ["OMP_NUM_THREADS"] = "1"

# `nohup` and a shell that starts pytest in the background ignore signals. The processes that
# tests start would inherit that, and never end by the signal that a test sends.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

IN_MEMORY = Path("/dev/shm")
# A search commits hundreds of times, and waits for the disk each time: what tests write need not
# outlive a power cut. pytest asks this variable where its temporary folders are.
if IN_MEMORY.is_dir() and shutil.disk_usage(IN_MEMORY).free > 2**31:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(IN_MEMORY))

ROOT = Path(__file__).parents[1]
LONGEST_FIRST = ("tests/cli/commands", "tests/faults", "tests/cli", "tests/studies")
"""Folders whose files take a process longest; what is short fills the gaps at the end."""
LOOKS = [0]
"""How often garbage was looked for among everything."""

# The same examples every time, so that more of them would find nothing new from run to run; a slow
# machine is no failure.
settings.register_profile("hnas", deadline=None, derandomize=True, database=None, max_examples=50)
settings.load_profile("hnas")


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real images beside the checkout; skips where there are none."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no real images: ../shared/data is absent")
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--pretend-gpu", action="store_true",
        help="run the tests of `-m gpu` on a GPU that is pretended: right or wrong, not fast",
    )  # fmt: skip


@pytest.fixture(scope="session", autouse=True)
def pretended_gpu(request: pytest.FixtureRequest) -> Iterator[None]:
    if not request.config.getoption("--pretend-gpu"):
        yield
        return
    from tests.support.pretend_cuda import PretendCuda

    with PretendCuda():
        yield


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu") and not item.config.getoption("--pretend-gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU that PyTorch can use")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in an order for several processes (`-n auto`); a test that takes minutes may."""

    def place(item: pytest.Item) -> int:
        names = enumerate(LONGEST_FIRST)
        return next((i for i, name in names if item.nodeid.startswith(f"{name}/")), 9)

    items.sort(key=place)
    for item in items:
        if item.get_closest_marker("slow") or item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.timeout(3600))


def pytest_collection_finish() -> None:
    """What was imported until now stays: garbage is looked for among what tests make, in less than
    a tenth of the time. Migrations are read once."""
    from tests.support.migrations import read_once

    gc.collect()
    gc.freeze()
    gc.enable()
    read_once()


def pytest_runtest_logfinish() -> None:
    """What tests import stays too. A freeze in a test might keep what it lets go."""
    if (looks := gc.get_stats()[2]["collections"]) > LOOKS[0]:
        LOOKS[0] = looks
        gc.freeze()


def pytest_xdist_auto_num_workers() -> int:
    """One process a core, also in a container that has a part of the machine's; each takes a
    gigabyte."""
    from hnas.machine import cores, free_memory

    return max(1, min(cores(), 8, (free_memory() or 2**33) // 2**30))
