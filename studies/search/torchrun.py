"""What processes of a torchrun but the first do: they take part in training, and wait in between.

The first one is the search. It tells the others what to load and to train as plain JSON; weights
and optimizer state follow when the training begins, so that they need no file of the run.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NoReturn

import torch

from hnas.architecture.space import BlockSpace, Frame, Space
from hnas.data import Data, prepare
from hnas.errors import InputError
from hnas.network.supernet import Supernet
from hnas.persist.record import recorded
from hnas.settings import AugmentRules, DataRules, TrainingRules
from hnas.studies.plan.plan import Plan
from hnas.studies.search import retrain
from hnas.training.processes import World
from hnas.training.supernet import train_supernet


def images_job(plan: Plan, device: torch.device) -> dict[str, Any]:
    """To load the images of a plan onto a device of this kind."""
    return {
        "task": "images",
        "device": device.type,
        "data": recorded(plan.data),
        "image": plan.net.image,
        "channels": plan.net.channels,
        "seed": plan.search.seed,
    }


def supernet_job(
    net: Supernet, rules: TrainingRules, augment: AugmentRules, seed: int, split: str
) -> dict[str, Any]:
    """To train a supernet on the images whose split has this fingerprint."""
    return {
        "task": "supernet",
        "space": recorded(net.space),
        "training": recorded(rules),
        "augment": recorded(augment),
        "seed": seed,
        "split": split,
    }


def serve(world: World) -> NoReturn:
    """Does what the first process asks for, until that ends and this one with it."""
    data, split = None, ""
    try:
        for job in world.jobs():
            if job["task"] == "images":
                data, split = _images(job)
                continue
            wanted = job["split"] if "split" in job else job["identity"]["split"]
            if data is None or split != wanted:
                raise InputError(
                    f"the images of {_here()} are not those of the first process: their split is "
                    f"{split or 'none'}, must be {wanted}. Give all machines the same files"
                )
            if job["task"] == "supernet":
                _supernet(job, data, world)
            else:
                retrain.join(job, data, world)
    except Exception as error:
        world.leave(error)
    raise AssertionError("jobs have no end")


def _images(job: Mapping[str, Any]) -> tuple[Data, str]:
    """The images on this process's device, and their split's fingerprint."""
    device = torch.device(job["device"])
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    data, split = prepare(
        DataRules(**job["data"]), image=job["image"], channels=job["channels"], seed=job["seed"]
    )
    return data.to(device), split.fingerprint


def _supernet(job: Mapping[str, Any], data: Data, world: World) -> None:
    blocks = ({name: tuple(values) for name, values in b.items()} for b in job["space"]["blocks"])
    space = Space(
        frame=Frame(**job["space"]["frame"]), blocks=tuple(BlockSpace(**block) for block in blocks)
    )
    rules = TrainingRules(**job["training"])
    net = Supernet(space, dropout=rules.dropout).to(data.mean.device)
    augment = AugmentRules(**job["augment"])
    train_supernet(net, data, rules, augment, seed=job["seed"], world=world)


def _here() -> str:
    return f"process {os.environ.get('RANK', '?')} on {os.uname().nodename}"
