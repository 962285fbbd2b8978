"""How long a GPU waits for the host, and how often the host waits for it."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import torch

Settle = Callable[[Callable[[], object]], Callable[[], None]]


def idle(settle: Settle, run: Callable[[], None], times: int = 20) -> float:
    """Share of the wall time in which no kernel runs. What `settle` makes of a call ends when the
    GPU has done it."""
    from torch.profiler import ProfilerActivity, profile

    if not torch.cuda.is_available():
        raise RuntimeError("needs CUDA")
    began = time.perf_counter()
    settle(lambda: [run() for _ in range(times)])()
    wall = time.perf_counter() - began  # unprofiled: profiling makes the host slower
    with profile(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as traced:
        settle(lambda: [run() for _ in range(times)])()
    return max(0.0, 1 - busy(traced.key_averages()) / wall)


def busy(rows: Iterable[Any]) -> float:
    """Seconds of kernels in a profile's rows. The rows of the host's operators have the time of the
    kernels that they started again."""
    on_gpu = [row for row in rows if row.device_type != torch.autograd.DeviceType.CPU]
    named = [row for row in on_gpu if not getattr(row, "is_user_annotation", False)]
    return sum(float(row.self_device_time_total) for row in named) / 1e6


def waits(run: Callable[[], None], times: int = 5) -> float:
    """How often a call waits for the GPU, as CUDA's own debugging says."""
    if not torch.cuda.is_available():
        raise RuntimeError("needs CUDA")
    run()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            for _ in range(times):
                run()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(one.message) for one in told) / times
