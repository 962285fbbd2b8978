"""Memory that runs out is told, and threads are those of the container."""

from __future__ import annotations

import errno
import re

import pytest
import torch
from click.testing import CliRunner

from hnas import device
from hnas.cli.main import hnas
from hnas.errors import InputError, StateError
from hnas.studies.plan.limits import LIMITS

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


class FakeCuda:
    """Two GPUs that are not there."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int = 2) -> None:
        self.current: list[torch.device] = []
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "set_device", self.current.append)


def test_one_of_several_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    gpus = FakeCuda(monkeypatch)
    monkeypatch.setattr(torch.backends.cuda, "enable_cudnn_sdp", lambda enabled: None)
    assert device.choose("cuda:1") == torch.device("cuda", 1)
    assert gpus.current == [torch.device("cuda", 1)]  # calls that name no device mean it
    assert device.choose("cuda") == device.choose("auto") == torch.device("cuda")
    with pytest.raises(InputError, match=r"^device cuda:2: there are 2 CUDA devices, counted from"):
        device.choose("cuda:2")
    FakeCuda(monkeypatch, count=0)
    assert device.choose("auto") == torch.device("cpu")
    with pytest.raises(InputError, match=r"^device cuda:1: this PyTorch finds no CUDA device"):
        device.choose("cuda:1")


@pytest.mark.parametrize("name", ["cpu", "cuda:0", "cuda:1"])
def test_attention_that_plans_every_shape_is_avoided_on_gpus(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    FakeCuda(monkeypatch)
    before = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        device.choose(name)
        assert torch.backends.cuda.cudnn_sdp_enabled() is (name == "cpu")
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


def test_apples_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a fake: its generator is put back, it is waited for, its limits are a CPU's."""
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"^device mps: this PyTorch finds no GPU of Apple's"):
        device.choose("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    chosen, done = device.choose("mps"), []
    assert chosen == torch.device("mps")
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: "before")
    monkeypatch.setattr(torch.mps, "set_rng_state", done.append)
    monkeypatch.setattr(torch.mps, "synchronize", lambda: done.append("waited"))
    with device.seeded(3, chosen):
        inside = torch.rand(1)
    with device.seeded(3, torch.device("cpu")):
        assert torch.rand(1) == inside
    device.synchronise(chosen)
    assert done == ["before", "waited"]
    assert LIMITS["mps"] == LIMITS["cpu"]


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "mps:0", "CPU"])
def test_another_name_is_told(name: str) -> None:
    message = f"device must be auto, cpu, cuda, cuda:NUMBER or mps, got {name!r}"
    with pytest.raises(InputError, match=re.escape(message)):
        device.choose(name)
    result = CliRunner().invoke(hnas, ["doctor", "--device", name])
    assert result.exit_code == 2 and f"{name!r} is none of auto, cpu, cuda" in result.stderr
