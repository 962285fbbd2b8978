"""What each process of `tests/hnas/test_distributed.py` runs, and a test by itself: `trained`.

Started by torchrun's names in the environment: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from hnas.arch import Arch
from hnas.data import prepare
from hnas.glit import Glit
from hnas.rules import AugmentRules, DataRules, TrainingRules
from hnas.space import Frame, distribution_space
from hnas.supernet import Supernet
from hnas.training.distributed import World, connect
from hnas.training.loop import train
from hnas.training.supernet import train_supernet

FRAME = Frame(image=8, channels=1, patch=4, classes=10, d=12, M=2, N=3)
SPACE = distribution_space(FRAME, d_k=12, d_z=2, E=1, K=3)
RULES = TrainingRules(
    epochs=3, batch=64, micro_batch=16, lr=3e-3, dropout=0.1, drop_path=0.2, ema=0.9
)
MIXED = replace(RULES, label_smoothing=0.1, mixup=0.8, cutmix=1.0, repeats=3)
UNEVEN = replace(RULES, batch=96)
"""Six micro-batches: to four processes 1, 2, 1, 2."""
SHIFT = AugmentRules(shift=1)
STRONG = AugmentRules(crop=0.3, flip=True, randaugment=9.0, erase=0.25, erase_noise=True)
BROKEN = replace(RULES, epochs=4)
STOPS_AT = 2


class Stopped(BaseException):
    """As Ctrl-C: no fault of the process's own."""


def alone() -> Glit:
    arch = Arch((SPACE.choices[0][1], SPACE.choices[1][2]))
    return Glit(FRAME, arch, dropout=RULES.dropout, drop_path=RULES.drop_path)


def trained(world: World, folder: Path) -> dict[str, tuple[nn.Module, list[float]]]:
    """Networks and losses by name. All processes but the first begin with other weights."""
    data = prepare(DataRules(limit=400), image=8, channels=1, seed=0)[0]
    results: dict[str, tuple[nn.Module, list[float]]] = {}

    def keep(name: str, net: nn.Module, training, *args, **more) -> None:
        losses: list[float] = []
        net.reset(5 if world.rank == 0 else 6 + world.rank)
        training(
            net, data, *args, seed=1, world=world,
            on_epoch=lambda epoch: losses.append(epoch.loss), **more,
        )  # fmt: skip
        results[name] = net, losses

    keep("plain", alone(), train, RULES, SHIFT)
    keep("everything", alone(), train, MIXED, STRONG)
    keep("uneven", alone(), train, UNEVEN, SHIFT)
    for rule in ("uniform", "sandwich"):
        rules = replace(RULES, subnets=rule)
        keep(f"supernet {rule}", Supernet(SPACE), train_supernet, rules, SHIFT)
    path = folder / "half" if world.rank == 0 else None
    keep("resumed", alone(), train, BROKEN, SHIFT, path=path)
    return results


def half(world: World, folder: Path) -> None:
    """A training broken off: its checkpoint of epoch STOPS_AT is in `folder`."""
    data = prepare(DataRules(limit=400), image=8, channels=1, seed=0)[0]

    def stop(epoch):
        if epoch.epoch == STOPS_AT:
            raise Stopped

    with contextlib.suppress(Stopped):
        train(
            alone().reset(5), data, BROKEN, SHIFT, seed=1, world=world, every=0, on_epoch=stop,
            path=folder / "half" if world.rank == 0 else None,
        )  # fmt: skip


def long(world: World, folder: Path) -> None:
    """A training of minutes that tells of its epochs."""
    data = prepare(DataRules(limit=400), image=8, channels=1, seed=0)[0]
    train(
        alone().reset(5), data, replace(RULES, epochs=1000), SHIFT, seed=1, world=world, every=0,
        path=folder / "long" if world.rank == 0 else None,
        on_epoch=lambda epoch: print("epoch", flush=True),
    )  # fmt: skip


def main(*todo: str) -> None:
    torch.set_num_threads(1)
    world, folder = connect(), Path(todo[0])
    for what in todo[1:]:
        if what == "half":
            half(world, folder)
        elif what == "copy" and world.rank == 0:
            shutil.copytree(folder, folder / "copy")
        elif what == "long":
            long(world, folder)
        elif what == "trained":
            for name, (net, losses) in trained(world, folder).items():
                save_file(net.state_dict(), folder / f"{name}-{world.size}-{world.rank}")
                (folder / f"{name}-{world.size}-{world.rank}.json").write_text(json.dumps(losses))
    with world.together(torch.device("cpu")):  # until all have written
        pass
    world.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
