"""conv1d's kernels in Triton against the usual layout.

Triton's interpreter runs them without a GPU, in a process of its own: it is chosen at the import.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import torch

CHECK = """
import torch
from hnas.network.local.conv1d import by_triton, channels_last

def check(dtype, rounding, B, T, C, K):
    generator = torch.Generator().manual_seed(0)
    shapes = (B, T, C), (C, 1, K), (C,), (B, T, C)
    given = [torch.randn(s, generator=generator).to(dtype).requires_grad_() for s in shapes]
    *inputs, above = given
    found, right = by_triton(*inputs), channels_last(*inputs)
    gradients = [torch.autograd.grad(y, inputs, above) for y in (found, right)]
    for mine, its in zip((found, *gradients[0]), (right, *gradients[1]), strict=True):
        assert mine.dtype == dtype
        assert (mine - its).float().norm() <= rounding * its.float().norm(), (dtype, B, T, C, K)

check(torch.float32, 1e-5, 1, 33, 66, 3)  # more tokens and channels than a program takes
check(torch.bfloat16, 2e-2, 2, 5, 6, 3)
check(torch.float32, 1e-5, 9, 3, 2, 9)  # more images than parts, a kernel wider than the tokens
print("right")
"""


@pytest.mark.skipif(not find_spec("triton"), reason="needs Triton, which is for Linux")
@pytest.mark.skipif(
    torch.__version__.startswith("2.6."), reason="its Triton's interpreter fails with NumPy 2.4"
)
def test_it_computes_what_the_usual_layout_does() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHECK],
        env={**os.environ, "TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.returncode) == ("right\n", 0), done.stderr
