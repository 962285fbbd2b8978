"""What training a supernet together costs: the share of a step that the exchange takes, its bytes.

    python -m benchmarks.speed.distributed [--quick] [--steps 40] [--json FILE]

Two processes of one thread each, gloo on this machine, and one process with the same micro-batches,
in turn; random images, stage 2's space and batch of each preset. What is timed is an epoch of so
many steps, the first epoch left out. The exchange includes waiting for the other process.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import socket
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch import multiprocessing as processes

from benchmarks.common import paper_preset, write_rows
from hnas.cost.flops import cost
from hnas.data import Data, Images
from hnas.network.supernet import Supernet
from hnas.sampling import RULES
from hnas.settings import AugmentRules
from hnas.training.loop import Context, Epoch
from hnas.training.processes import ONE_PROCESS, World, connect
from hnas.training.supernet import train_supernet

PRESETS = ("digits", "fashion-mnist")
EPOCHS = 4


class Timed(World):
    """Counts seconds and bytes of every exchange."""

    def __init__(self, world: World) -> None:
        super().__init__(world.rank, world.size, world._store)
        self.seconds = 0.0
        self.bytes: list[int] = []

    def sum(self, values: Tensor) -> None:
        began = time.perf_counter()
        super().sum(values)
        self.seconds += time.perf_counter() - began
        self.bytes.append(values.numel() * values.element_size())


def measure(preset: str, steps: int, world: Timed) -> dict[str, object]:
    """Milliseconds of a step and of its exchange, medians over epochs; bytes, means over steps."""
    plan = paper_preset(preset)
    net, batch = plan.net, plan.stage2.training.batch
    rules = replace(plan.stage2.training, epochs=EPOCHS, micro_batch=batch // 2)
    generator = torch.Generator().manual_seed(0)
    shape = (steps * batch, net.channels, net.image, net.image)
    images = Images(
        pixels=torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator),
        labels=torch.arange(shape[0]) % net.classes,
    )
    data = Data(
        train=images,
        held_out=images.take(torch.arange(2)),
        classes=tuple(map(str, range(net.classes))),
        mean=torch.full((net.channels,), 0.5),
        std=torch.full((net.channels,), 0.3),
    )
    space = plan.space2()
    supernet = Supernet(space, dropout=rules.dropout).reset(0)
    at = [(time.perf_counter(), world.seconds)]

    def tell(epoch: Epoch) -> None:
        at.append((time.perf_counter(), world.seconds))

    train_supernet(
        supernet, data, rules, AugmentRules(), seed=0, context=Context(world=world, on_epoch=tell)
    )
    ends = list(itertools.pairwise(at[1:]))
    step = [(b[0] - a[0]) / steps * 1e3 for a, b in ends]
    exchange = [(b[1] - a[1]) / steps * 1e3 for a, b in ends]
    draw = RULES[rules.subnets].draw
    archs = [arch for number in range(EPOCHS * steps) for arch in draw(space, seed=0, step=number)]
    return {
        "preset": preset,
        "processes": world.size,
        "batch": batch,
        "micro_batch": rules.micro_batch,
        "steps": steps * (EPOCHS - 1),
        "step_ms": statistics.median(step),
        "exchange_ms": statistics.median(exchange),
        "exchange_share": statistics.median(e / s for e, s in zip(exchange, step, strict=True)),
        "sent_bytes": statistics.mean(world.bytes),
        "supernet_bytes": 4 * sum(w.numel() for w in supernet.parameters()),
        "arch_bytes": 4 * statistics.mean(cost(net, arch).params for arch in archs),
    }


def one(rank: int, port: int, preset: str, steps: int, file: Path) -> None:
    """A process of two."""
    torch.set_num_threads(1)
    names = {"RANK": rank, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in names.items()})
    world = connect()
    found = measure(preset, steps, Timed(world))
    if rank == 0:
        file.write_text(json.dumps(found))
    world.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few steps: does it run at all?")
    parser.add_argument("--steps", type=int, default=40, help="of an epoch")
    parser.add_argument("--json", type=Path, help="write the rows there")
    options = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for preset in PRESETS[: 1 if options.quick else None]:
        steps = 2 if options.quick else options.steps
        rows.append(measure(preset, steps, Timed(ONE_PROCESS)))
        with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
            free.close()
            file = Path(folder) / "found.json"
            processes.spawn(one, args=(port, preset, steps, file), nprocs=2)
            rows.append(json.loads(file.read_text()))
    for row in rows:
        print(
            f"{row['preset']:14} {row['processes']} processes: step {row['step_ms']:7.1f} ms, "
            f"exchange {row['exchange_ms']:6.1f} ms ({row['exchange_share']:.0%}), "
            f"{row['sent_bytes']:,.0f} of {row['supernet_bytes']:,} bytes "
            f"(the subnet's own: {row['arch_bytes']:,.0f})"
        )
    if options.json:
        write_rows(
            options.json, rows, 1, f"python -m benchmarks.speed.distributed --steps {options.steps}"
        )


if __name__ == "__main__":
    main()
