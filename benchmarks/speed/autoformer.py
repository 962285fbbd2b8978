"""A supernet's forward pass and training step, against AutoFormer's own code for the same network.

    python -m benchmarks.speed.autoformer --code Cream/AutoFormer [--threads 1] [--json FILE]

The folder is that of https://github.com/microsoft/Cream (MIT); nothing of it is in this repository.
Both have DeiT-Ti's network as a subnet: d = 192, 12 blocks of three heads, GELU, images of 224
pixels, patches of 16; without AutoFormer's relative positions, which hnas does not have. Both cut
the weights of each step anew, and have as many parameters, the same loss and optimizer. Times are
CPU time. On a CPU that multiplies in bf16 there are rows with hnas in it: against AutoFormer as it
is, in fp32, and against AutoFormer under PyTorch's autocast.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.common import Row, compare, kept, table, write_rows
from hnas.architecture.space import Frame, size_space
from hnas.cost.timing import in_turn, rotated, seconds
from hnas.device import has_bf16
from hnas.network.precision import compute_in
from hnas.network.supernet import Supernet

Run = Callable[[Tensor], Tensor]
"""Images to logits."""


def hnas_net(frame: Frame, precision: str) -> tuple[nn.Module, Run]:
    """Our supernet, and its all-global subnet."""
    arch = frame.all_global()
    net = Supernet(size_space(frame, arch, d_k=(frame.d,), d_z=(4,), E=(1,), K=(3,))).reset(0)
    compute_in(net, precision)
    return net, lambda images: net(images, arch)


def their_net(code: Path, frame: Frame, precision: str) -> tuple[nn.Module, Run]:
    """AutoFormer's, and the same subnet of it, as its training sets one at each step."""
    sys.path.insert(0, str(code))
    made = importlib.import_module("model.supernet_transformer")
    net = made.Vision_TransformerSuper(
        img_size=frame.image,
        patch_size=frame.patch,
        num_classes=frame.classes,
        embed_dim=frame.d,
        depth=frame.M,
        num_heads=frame.N,
        qkv_bias=True,
        change_qkv=True,
    )
    chosen = {
        "layer_num": frame.M,
        "embed_dim": [frame.d] * frame.M,
        "mlp_ratio": [4.0] * frame.M,
        "num_heads": [frame.N] * frame.M,
    }

    def forward(images: Tensor) -> Tensor:
        net.set_sample_config(chosen)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits: Tensor = net(images)
        return logits.float()

    return net, forward


def measure(code: Path, frame: Frame, *, batch: int, pairs: int) -> list[Row]:
    """In fp32, and in bf16 if this CPU has it."""
    kinds = {"": ("fp32", "fp32")}
    if has_bf16(torch.device("cpu")):
        kinds |= {", hnas in bf16": ("bf16", "fp32"), ", both in bf16": ("bf16", "bf16")}
    rows = []
    for name, (ours, theirs) in kinds.items():
        nets = (hnas_net(frame, ours), their_net(code, frame, theirs))
        sizes = [sum(weight.numel() for weight in net.parameters()) for net, _ in nets]
        assert sizes[0] == sizes[1], sizes
        what = f"{batch} images, d = {frame.d}, {frame.M} blocks{name}"
        rows += compared(what, nets, frame, batch=batch, pairs=pairs)
    return rows


def compared(
    what: str, nets: Sequence[tuple[nn.Module, Run]], frame: Frame, *, batch: int, pairs: int
) -> list[Row]:
    """Forward without gradients, then a whole step, of our network and theirs."""
    torch.manual_seed(0)
    images = torch.randn(batch, 3, frame.image, frame.image)
    labels = torch.randint(0, frame.classes, (batch,))

    def forward(run: Run) -> Callable[[], Tensor]:
        return lambda: torch.no_grad()(run)(images)

    def step(net: nn.Module, run: Run) -> Callable[[], None]:
        optimizer = torch.optim.AdamW(net.train().parameters(), 1e-4)

        def one() -> None:
            F.cross_entropy(run(images), labels).backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

        return one

    calls = {
        f"forward, {what}": ([forward(run) for _, run in nets], "<= 0.5"),
        f"training step, {what}": ([step(*each) for each in nets], "<= 0.6"),
    }
    rows = []
    for name, (both, target) in calls.items():
        timers = [partial(seconds, call, time.process_time) for call in both]
        spent = list(in_turn(timers, rotated(2, 1 + pairs)))[1:]
        mine, other = zip(*spent, strict=True)
        rows.append(compare(name, mine, other, target))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--code", type=Path, required=True, help="AutoFormer's folder")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it run at all?")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    image, M = (32, 2) if options.quick else (224, 12)
    frame = Frame(
        image=image, channels=3, patch=16, classes=1000, d=192, M=M, N=3, activation="gelu"
    )
    pairs = 1 if options.quick else 5
    rows = measure(options.code, frame, batch=2 if options.quick else 16, pairs=pairs)
    print(table(rows), flush=True)
    if options.json:
        command = "python -m benchmarks.speed.autoformer --code Cream/AutoFormer"
        write_rows(options.json, [kept(row) for row in rows], options.threads, command)


if __name__ == "__main__":
    main()
