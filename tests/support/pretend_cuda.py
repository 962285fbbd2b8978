"""A GPU that is not there: tensors that say they are on cuda:0 and hold their numbers on the CPU.

    with PretendCuda() as gpu:
        net.to("cuda"); ...            # the project's own code, unchanged, under CUDA's autocast
    gpu.waits                          # {"copy to the GPU: hnas/training/loop.py _backward": 2}

A tensor of the GPU and one of the CPU in one operation raise, as they do on a GPU (a number on the
CPU is allowed there). What makes the host wait for a GPU is counted by the project's file and
function that asked for it: reading a value, shapes that depend on values (nonzero, a boolean mask),
an index from the CPU, and blocking copies between the two. Not seen: memory, speed, kernels that
CUDA alone lacks, and large copies that do not block and come from memory that is not pinned.

It rests on private parts of torch, so it is for one release: TORCH.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing

import hnas

TORCH = "2.13"
"""The release that this was tried with."""
PROJECT = Path(hnas.__file__).parents[1]
CODE = f"{PROJECT / 'hnas'}/"
CUDA, META = torch.device("cuda", 0), torch.device("meta")
READS = {
    *("nonzero", "nonzero_static", "masked_select", "_unique2", "unique_dim", "bincount"),
    *("unique_consecutive", "repeat_interleave", "equal", "allclose", "is_nonzero"),
    "_local_scalar_dense",
}
COPIES = {"_to_copy", "copy_"}
IDLE = {"_unsafe_view", "empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided"}
IDLE |= {"set_", "resize_", "lift_fresh"}
"""What starts no kernel, besides views."""
INDEXES = {"index", "index_put", "index_put_", "_index_put_impl_"}


class Pretended(torch.Tensor):
    """`held` has the numbers, on the CPU. To C++ it is a meta tensor with CUDA's dispatch keys
    (autocast's and autograd's), whose device Python tells."""

    said = CUDA
    """To C++; meta in a backward pass, whose engine would ask for CUDA's streams."""

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> Pretended:
        # Never an inference tensor: autograd would not take it for a view of one that is none.
        with torch._C._DisableTorchDispatch(), torch.inference_mode(False), torch.no_grad():
            meta = torch.empty_strided(held.size(), held.stride(), dtype=held.dtype, device="meta")
            made = torch.Tensor._make_subclass(
                cls, meta, False, dispatch_device=True, device_for_backend_keys=CUDA
            )
        made.held = held
        return made

    device = property(lambda self: CUDA)
    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        assert func is torch.ops.prim.device.default, f"{func} outside of PretendCuda"
        return cls.said

    def record_stream(self, stream: _Stream) -> None:
        stream.gpu.streams.append(f"kept for {stream.name}")

    def __repr__(self, **_: Any) -> str:
        return f"Pretended({self.held!r})"


class _Stream:
    """A stream, which the GPU's `streams` tells of."""

    def __init__(self, gpu: PretendCuda, name: str) -> None:
        self.gpu, self.name = gpu, name

    def wait_stream(self, other: _Stream) -> None:
        self.gpu.streams.append(f"{self.name} waits for {other.name}")

    @contextlib.contextmanager
    def current(self) -> Iterator[None]:
        before, self.gpu.stream = self.gpu.stream, self
        yield
        self.gpu.stream = before


class _Generator(torch.Generator):
    def __new__(cls, device: Any = "cpu") -> torch.Generator:
        return super().__new__(cls, "cpu")


class _Names(TorchFunctionMode):
    """What C++ would have to know: that "cuda" is cuda:0, that a tensor of it is there already, and
    what pinned memory is."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        def numbered(value):
            return CUDA if isinstance(value, str | torch.device) and str(value) == "cuda" else value

        kwargs = {k: numbered(v) if k == "device" else v for k, v in (kwargs or {}).items()}
        name = getattr(func, "__name__", "")
        if name == "pin_memory":
            assert not isinstance(args[0], Pretended), "pin_memory of a tensor of the GPU"
            return args[0].clone()
        if name == "tolist" and isinstance(args[0], Pretended):
            return args[0].cpu().tolist()
        if name == "to":
            args = tuple(map(numbered, args))
            told = [*args[1:], kwargs.get("device"), kwargs.get("dtype")]
            asked = {value for value in told if isinstance(value, torch.dtype)}
            if CUDA in told and isinstance(args[0], Pretended) and asked <= {args[0].dtype}:
                return args[0]
        return func(*args, **kwargs)


class PretendCuda(TorchDispatchMode):
    """Within it torch has one CUDA device; may be entered again."""

    holds = torch.device("cpu")
    """Where the numbers are."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: Counter[str] = Counter()
        self.launches: Counter[str] = Counter()
        """Operations that start kernels, by name; most start one."""
        self.has_bf16 = True
        self.stream = _Stream(self, "the first")
        self.streams: list[str] = []
        """Copies on another stream than the first, and who waits for whom."""
        self._depth = 0

    def _computed(self, func: Any, args: Any, kwargs: Any) -> Any:
        return func(*args, **kwargs)

    def _wait(self, what: str) -> None:
        frame: FrameType | None = sys._getframe(2)
        while frame and not frame.f_code.co_filename.startswith(CODE):
            frame = frame.f_back
        where = "elsewhere"
        if frame:
            code = frame.f_code
            where = f"{Path(code.co_filename).relative_to(PROJECT)} {code.co_name}"
        self.waits[f"{what}: {where}"] += 1

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), func._schema.name.split("::")[1]
        if func is torch.ops.prim.device.default and isinstance(args[0], Pretended):
            return Pretended.said
        if torch.is_inference_mode_enabled() and func._can_decompose():
            with self:  # what autograd takes apart otherwise
                return func.decompose(*args, **kwargs)
        given: list[Any] = []
        _each(given.append, (*args, *kwargs.values()))
        tensors = [t for t in given if isinstance(t, torch.Tensor)]
        device, _ = kwargs.get("device"), kwargs.pop("pin_memory", None)
        there = any(isinstance(t, Pretended) for t in tensors)
        onto = "cuda" in str(device) if device is not None else there
        if not there and not onto:
            return func(*args, **kwargs)
        self._check(func, name, args, kwargs, tensors, onto)
        if name not in IDLE and not is_view(func):
            self.launches[name] += 1
        if device is not None:
            kwargs["device"] = self.holds if onto else torch.device("cpu")
        found = self._computed(
            func, _each(_held, args), {k: _each(_held, v) for k, v in kwargs.items()}
        )
        if name == "_to_copy" and not onto:
            return found.clone() if found is args[0].held else found
        if name == "copy_" and not isinstance(args[0], Pretended):
            return args[0]
        return return_and_correct_aliasing(func, args, kwargs, _each(_wrapped, found))

    def _check(self, func, name, args, kwargs, tensors, onto) -> None:
        """Raises where a GPU would, and counts a wait."""
        here = [t for t in tensors if t.dim() and not isinstance(t, Pretended)]
        if name in READS:
            self._wait("a value is read")
        elif name in INDEXES:
            assert isinstance(args[0], Pretended), f"{func}: a CPU's tensor and a GPU's index"
            given = [i for i in args[1] if i is not None]
            masks = any(i.dtype in (torch.bool, torch.uint8) for i in given)
            if any(i.dim() and not isinstance(i, Pretended) for i in given):
                self._wait("an index of the CPU")
            elif masks and (name == "index" or args[2].numel() > 1):  # one value is filled in
                self._wait("a mask as an index")
        elif name in COPIES:
            onto = isinstance(args[0], Pretended) if name == "copy_" else onto
            free = kwargs.get("non_blocking") or (name == "copy_" and True in args[2:])
            if isinstance(args[name == "copy_"], Pretended) != onto and not (free and onto):
                self._wait("copy to the GPU" if onto else "copy to the CPU")
            if self.stream.name != "the first":
                self.streams.append(f"copy on {self.stream.name}")
        else:
            shapes = [
                (tuple(t.shape), "cuda" if isinstance(t, Pretended) else "cpu") for t in tensors
            ]
            assert not here or name == "set_", f"{func}: tensors of the CPU and the GPU: {shapes}"

    def __enter__(self) -> PretendCuda:
        self._depth += 1
        if self._depth == 1:
            self._undo = contextlib.ExitStack()
            for fake in _fakes(self):
                self._undo.enter_context(fake)
            self._undo.enter_context(torch.autograd.set_multithreading_enabled(False))
            _guard()
            torch._C._set_only_lift_cpu_tensors(True)
            self._undo.callback(torch._C._set_only_lift_cpu_tensors, False)
            self._undo.enter_context(_Names())
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._depth -= 1
        if not self._depth:
            self._undo.close()


def _each(change: Callable[[Any], Any], value: Any) -> Any:
    """`change` of each value in lists and tuples: torch's `tree_map` takes thrice as long."""
    if isinstance(value, list | tuple):
        return type(value)([_each(change, one) for one in value])
    return change(value)


@functools.cache
def is_view(func: Any) -> bool:
    aliases = [value.alias_info for value in func._schema.returns]
    return any(alias is not None and not alias.is_write for alias in aliases)


def _held(value: Any) -> Any:
    return value.held if isinstance(value, Pretended) else value


def _wrapped(value: Any) -> Any:
    return Pretended(value) if isinstance(value, torch.Tensor) else value


def _guard() -> None:
    """Gives CUDA meta's device guard, which does nothing, where this build of torch has none."""
    library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libc10.so"))
    guards = (ctypes.c_void_p * 15).in_dll(library, "_ZN3c104impl26device_guard_impl_registryE")
    guards[1] = guards[1] or guards[14]


def _fakes(gpu: PretendCuda) -> list[Any]:
    """What torch knows of CUDA, as of one device."""
    group, engine = torch._C._group_tensors_by_device_and_dtype, torch.autograd._engine_run_backward

    def grouped(*args):
        found = group(*args).items()
        return {(CUDA if d.type == "meta" else d, dtype): tensors for (d, dtype), tensors in found}

    def backward(*args, **kwargs):
        with mock.patch.object(Pretended, "said", META):
            return engine(*args, **kwargs)

    properties = SimpleNamespace(name="pretended", total_memory=2**36)
    cuda = {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "is_bf16_supported": lambda *a, **k: gpu.has_bf16,
        "current_device": lambda: 0,
        "device_count": lambda: 1,
        "get_rng_state": lambda *a: torch.zeros(16, dtype=torch.uint8),
        "set_rng_state": lambda *a: None,
        "synchronize": lambda *a: gpu._wait("synchronize"),
        "get_device_properties": lambda *a: properties,
        "get_device_name": lambda *a: properties.name,
        "max_memory_allocated": lambda *a: 0,
        "empty_cache": lambda: None,
        "current_stream": lambda *a: gpu.stream,
        "Stream": lambda *a: _Stream(gpu, "a second"),
        "stream": _Stream.current,
        "amp.common.amp_definitely_not_available": lambda: False,
    }
    fakes = {f"torch.cuda.{name}": fake for name, fake in cuda.items()}
    fakes |= {
        "torch.Generator": _Generator,
        "torch.nn.utils.clip_grad._has_foreach_support": lambda *a, **k: True,
        "torch._C._group_tensors_by_device_and_dtype": grouped,
        "torch.autograd._engine_run_backward": backward,
        "torch.__future__.get_overwrite_module_params_on_conversion": lambda: True,
    }
    return [mock.patch(name, fake) for name, fake in fakes.items()]
