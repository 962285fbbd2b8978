"""Devices: the choice of one, its precision, its memory, its random numbers."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator

import torch

from hnas.errors import InputError, StateError
from hnas.machine import DEVICES, cores, keep_freed_memory


def choose(name: str) -> torch.device:
    """`auto` is CUDA if there is one, else the CPU; `cuda:1` is the second GPU, and `mps` Apple's,
    which nobody has tried yet. Torch gets no more threads than the container has cores, unless
    OMP_NUM_THREADS says how many. Raises InputError if what is asked for is absent."""
    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > cores():
        torch.set_num_threads(cores())
    keep_freed_memory()
    if not DEVICES.fullmatch(name):
        raise InputError(f"device must be auto, cpu, cuda, cuda:NUMBER or mps, got {name!r}")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    _check_there(device)
    if device.index is not None:
        torch.cuda.set_device(device)  # for calls that name no device
    if device.type == "cuda":
        # cuDNN's attention plans each new shape for about a second, and a search has hundreds.
        torch.backends.cuda.enable_cudnn_sdp(False)
    return device


def _check_there(device: torch.device) -> None:
    """Raises InputError if this machine, or this PyTorch, has no such device."""
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"device {device}: this PyTorch finds no CUDA device. "
            "Use the device cpu, or install a CUDA build of torch"
        )
    if device.type == "cuda" and (device.index or 0) >= (found := torch.cuda.device_count()):
        raise InputError(f"device {device}: there are {found} CUDA devices, counted from 0")
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise InputError("device mps: this PyTorch finds no GPU of Apple's. Use the device cpu")


def synchronise(device: torch.device) -> None:
    """Waits until the device has done what it was asked."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def precision(device: torch.device, asked: str = "auto") -> torch.dtype:
    """What matrix products are computed in, of PRECISIONS. `auto` is bf16 on a GPU that has it,
    else fp32: so a CPU's answer does not depend on which CPU it is. Raises InputError if bf16 is
    asked for and the device has no products in it: to emulate it takes longer than fp32.

    Older GPUs have fp16, whose gradients would need scaling: by a state of the training, which is
    in no checkpoint. fp32 is right without it.
    """
    if asked == "auto":
        asked = "bf16" if device.type == "cuda" and has_bf16(device) else "fp32"
    if asked == "fp32":
        return torch.float32
    if has_bf16(device):
        return torch.bfloat16
    raise InputError(
        f"precision bf16: the {'CPU' if device.type == 'cpu' else f'device {device}'} of this "
        "machine has no products in bf16, and would be slower by emulating them. Use auto or fp32"
    )


def has_bf16(device: torch.device) -> bool:
    """True if a device multiplies matrices in bf16 by instructions of its own: a GPU from A100 or
    RTX 30 on, a CPU with AMX or AVX512-BF16."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")  # torch has no public ones
    return any(getattr(torch.cpu, name, bool)() for name in names)


def kept_casts(device: torch.device) -> torch.autocast:
    """Within it, parameters that `autocast` has cast are kept, so that they are cast once however
    often it is entered. They may not change within it."""
    return torch.autocast(device.type, enabled=False)  # PyTorch forgets as it leaves the outermost


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Torch's global generator, which dropout draws from, seeded inside and restored outside."""
    mps = torch.mps.get_rng_state() if device.type == "mps" else None
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # of all devices
        try:
            yield
        finally:
            if mps is not None:
                torch.mps.set_rng_state(mps)


def read(*tensors: torch.Tensor) -> list[torch.Tensor]:
    """Tensors of one device in the CPU's memory; from CUDA by one copy, so that it is waited for
    once. Whole numbers of 2^53 and more are rounded then."""
    if tensors[0].device.type != "cuda":  # Apple's GPUs have no float64
        return [tensor.cpu() for tensor in tensors]
    flat = torch.cat([tensor.flatten().double() for tensor in tensors]).cpu()
    parts = flat.split([tensor.numel() for tensor in tensors])
    return [p.to(t.dtype).view(t.shape) for p, t in zip(parts, tensors, strict=True)]


OUTSIDE = re.compile(r"CUDA error: out of memory|(CUBLAS|CUDNN)_STATUS_\w*ALLOC\w*_FAILED")
"""A GPU's memory that runs out where PyTorch's allocator does not see it: the errors of CUDA itself
(torch.AcceleratorError), of cuBLAS and of cuDNN."""


def _on_gpu(error: BaseException) -> bool:
    """True if an error says that the GPU ran out of memory."""
    outside = isinstance(error, RuntimeError) and bool(OUTSIDE.search(str(error)))
    return outside or isinstance(error, torch.OutOfMemoryError)


def is_out_of_memory(error: BaseException) -> bool:
    """True if an error says that the GPU or this machine ran out of memory."""
    if isinstance(error, MemoryError) or _on_gpu(error):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # The CPU's allocator has no error of its own.
    words = ("can't allocate memory", "not enough memory", "bad_alloc")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


@contextlib.contextmanager
def fits_memory(advice: str) -> Iterator[None]:
    """Turns running out of memory within it into a StateError that ends with `advice`."""
    try:
        yield
    except (RuntimeError, MemoryError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        where = "the device" if _on_gpu(error) else "this machine"
        reason = re.split(r"\. |\n", str(error))[0] or "no more can be had"
        raise StateError(
            f"the memory of {where} is not enough: {reason}. What is finished is kept. {advice}"
        ) from None


def describe(device: torch.device) -> dict[str, str]:
    """The device and versions that results depend on, to be recorded with them."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {"torch": torch.__version__, "device": name, "threads": str(torch.get_num_threads())}
