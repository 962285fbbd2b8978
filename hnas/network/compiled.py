"""Blocks that torch.compile makes: a graph for each kind and size of block, and each use of it.

Off unless a plan asks for it (`training.compile`): docs/performance.md#compiled-blocks.
"""

import os
import shutil
from importlib.util import find_spec

import torch
from torch import nn

from hnas.errors import InputError

BACKEND = "inductor"
"""Of torch.compile."""
GRAPHS = 256
"""At most so many are made in a process; blocks that would need another run as they are."""


def compile_blocks(net: nn.Module) -> None:
    """Compiles the blocks of a network, if it has some, each when it is first used. Copies and
    subnets of it are not compiled. Raises InputError if this machine cannot."""
    blocks = [*getattr(net, "blocks", ())]
    if not blocks:
        return
    _check_compiler(next(net.parameters()).device)
    for name in limits():
        setattr(torch._dynamo.config, name, GRAPHS)
    for block in blocks:
        block.compile(dynamic=False, backend=BACKEND)


def limits() -> tuple[str, str]:
    """The names in `torch._dynamo.config` of the most graphs of one function and of one process."""
    new = hasattr(torch._dynamo.config, "recompile_limit")
    word = "recompile" if new else "cache_size"  # of torch 2.6
    return f"{word}_limit", f"accumulated_{word}_limit"


def _check_compiler(device: torch.device) -> None:
    """Raises InputError if Inductor lacks what it compiles with."""
    if BACKEND != "inductor":
        return
    if device.type == "cuda":
        needs, there = "Triton (pip install triton)", find_spec("triton") is not None
    else:
        names = (os.environ.get("CXX"), "g++", "clang++", "cl")
        needs, there = "a C++ compiler", any(shutil.which(name) for name in names if name)
    if not there:
        raise InputError(
            f"training.compile needs {needs} on the device {device.type}, and there is none: "
            "install it, or search without --compile"
        )
