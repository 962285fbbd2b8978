"""What all tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Before torch is imported: sums, and so the tests' numbers, depend on the number of threads.
os.environ["OMP_NUM_THREADS"] = "1"

ROOT = Path(__file__).parents[1]

# The same examples every time; a slow machine is no failure.
settings.register_profile("hnas", deadline=None, derandomize=True, database=None)
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


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a GPU that PyTorch can use")
