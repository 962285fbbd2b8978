"""Memory that runs out is told, and threads are those of the container."""

from __future__ import annotations

import errno
import re

import pytest
import torch

from hnas import device
from hnas.errors import StateError

ACCELERATOR = getattr(torch, "AcceleratorError", RuntimeError)  # since torch 2.8


@pytest.mark.parametrize(
    ("error", "where"),
    [
        (MemoryError(), "this machine is not enough: no more can be had"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you"), "this"),
        (RuntimeError("std::bad_alloc"), "this machine"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "this machine"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried"), "the device is not enough: CUDA"),
        (ACCELERATOR("CUDA error: out of memory\nCUDA kernel errors might"), "the device is"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"), "the device is"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "the device is"),
        (
            RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
            "the device is",
        ),
    ],
)
def test_memory_that_runs_out_is_told(error, where) -> None:
    message = f"the memory of {where}"
    expected = pytest.raises(StateError, match=f"^{re.escape(message)}.*Buy some.$")
    with expected, device.fits_memory("Buy some."):
        raise error


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("shapes differ"),
        OSError(errno.ENOENT, "no"),
        ACCELERATOR("CUDA error: device-side assert triggered"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
    ],
)
def test_other_errors_pass(error) -> None:
    with pytest.raises(type(error)), device.fits_memory("Buy some."):
        raise error


@pytest.mark.parametrize(("said", "expected"), [(None, 1), ("4", 2)])
def test_threads_are_no_more_than_cores_unless_that_is_said(monkeypatch, said, expected) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if said:
        monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setattr(device, "cores", lambda: 1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        device.choose("cpu")
        assert torch.get_num_threads() == expected
    finally:
        torch.set_num_threads(before)
