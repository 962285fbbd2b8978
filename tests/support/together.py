"""What each process of `tests/hnas/training/test_processes.py` runs, and a test by itself:
`trained`.

As torchrun starts them, by names in the environment, but forked (`tests/support/forked.py`): ten
imports of torch and what a training imports would take most of the time.

    python -m tests.support.together RANK SIZE PORT FOLDER half|copy|trained|long...
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, distribution_space
from hnas.data import prepare
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet
from hnas.settings import AugmentRules, DataRules, TrainingRules
from hnas.training import buckets, processes
from hnas.training.loop import Context, train
from hnas.training.processes import World, connect
from hnas.training.supernet import train_supernet

FRAME = Frame(image=8, channels=1, patch=4, classes=10, d=12, M=2, N=3)
SPACE = distribution_space(FRAME, d_k=12, d_z=2, E=1, K=3)
STEMMED = distribution_space(
    replace(FRAME, stem="conv", pool="mean", local="conv2d"), d_k=12, d_z=2, E=1, K=3
)
"""A supernet with running statistics: its stem's."""
RULES = TrainingRules(
    epochs=2, batch=64, micro_batch=16, lr=3e-3, dropout=0.1, drop_path=0.2, ema=0.9
)
MIXED = replace(RULES, epochs=1, label_smoothing=0.1, mixup=0.8, cutmix=1.0, repeats=3)
UNEVEN = replace(RULES, batch=96)
"""Six micro-batches: to four processes 1, 2, 1, 2."""
SHIFT = AugmentRules(shift=1)
STRONG = AugmentRules(crop=0.3, flip=True, randaugment=9.0, erase=0.25, erase_noise=True)
BROKEN = replace(RULES, epochs=3)
STOPS_AT = 2


class Stopped(BaseException):
    """As Ctrl-C: no fault of the process's own."""


def alone() -> Glit:
    arch = Arch((SPACE.choices[0][1], SPACE.choices[1][2]))
    return Glit(FRAME, arch, dropout=RULES.dropout, drop_path=RULES.drop_path)


def trained(world: World, folder: Path) -> dict[str, tuple[nn.Module, list[float]]]:
    """Networks and losses by name. All processes but the first begin with other weights."""
    data = prepare(DataRules(limit=200), image=8, channels=1, seed=0)[0]
    results: dict[str, tuple[nn.Module, list[float]]] = {}

    def keep(name: str, net: nn.Module, training, *args, **more) -> None:
        losses: list[float] = []
        net.reset(5 if world.rank == 0 else 6 + world.rank)
        training(
            net, data, *args, seed=1,
            context=Context(world=world, on_epoch=lambda e: losses.append(e.loss), **more),
        )  # fmt: skip
        results[name] = net, losses

    keep("plain", alone(), train, RULES, SHIFT)
    keep("everything", alone(), train, MIXED, STRONG)
    keep("uneven", alone(), train, UNEVEN, SHIFT)
    for rule in ("uniform", "sandwich"):
        rules = replace(RULES, subnets=rule)
        keep(f"supernet {rule}", Supernet(SPACE), train_supernet, rules, SHIFT)
    keep("supernet stem", Supernet(STEMMED), train_supernet, RULES, SHIFT)
    path = folder / "half" if world.rank == 0 else None
    keep("resumed", alone(), train, BROKEN, SHIFT, path=path)
    return results


def half(world: World, folder: Path) -> None:
    """A training broken off: its checkpoint of epoch STOPS_AT is in `folder`."""
    data = prepare(DataRules(limit=200), image=8, channels=1, seed=0)[0]

    def stop(epoch):
        if epoch.epoch == STOPS_AT:
            raise Stopped

    with contextlib.suppress(Stopped):
        train(
            alone().reset(5), data, BROKEN, SHIFT, seed=1,
            context=Context(
                path=folder / "half" if world.rank == 0 else None,
                world=world, every=0, on_epoch=stop,
            ),
        )  # fmt: skip


def long(world: World, folder: Path) -> None:
    """A training of minutes, with a checkpoint of every epoch."""
    data = prepare(DataRules(limit=200), image=8, channels=1, seed=0)[0]
    train(
        alone().reset(5), data, replace(RULES, epochs=1000), SHIFT, seed=1,
        context=Context(
            path=folder / "long" if world.rank == 0 else None, world=world, every=0
        ),
    )  # fmt: skip


def main(rank: int, size: int, port: int, folder: Path, *todo: str) -> None:
    """One process; what it says goes to a file."""
    torch.set_num_threads(1)
    buckets.BUCKET = 200  # several of these small networks' weights
    said = os.open(folder / f"said-{size}-{rank}", os.O_WRONLY | os.O_CREAT)
    os.dup2(said, 2)
    names = {"RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in names.items()})
    world = connect()
    for what in todo:
        if what == "half":
            half(world, folder)
        elif what == "copy" and world.rank == 0:
            shutil.copytree(folder, folder / "copy")
        elif what == "impatient":
            processes.SILENT = 3
        elif what == "long":
            long(world, folder)
        elif what == "trained":
            for name, (net, losses) in trained(world, folder).items():
                save_file(net.state_dict(), folder / f"{name}-{world.size}-{world.rank}")
                (folder / f"{name}-{world.size}-{world.rank}.json").write_text(json.dumps(losses))
    with world.process_group(torch.device("cpu")):  # until all have written
        world.begin_sum(torch.zeros(1))()  # or one leaves while another still connects to it
    world.close()


if __name__ == "__main__":
    rank, size, port, folder, *todo = sys.argv[1:]
    main(int(rank), int(size), int(port), Path(folder), *todo)
