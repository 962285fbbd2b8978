"""The other processes of a torchrun: they wait for jobs, and take part in loading and training.

The first process is the search. Its jobs are plain JSON and say what to load and to train; weights
and optimizer state follow when the training begins, so the others need no file of the run.
"""

import os
from collections.abc import Mapping
from typing import Any, NoReturn

import torch

from hnas.architecture.space import Space
from hnas.data import Data, Split
from hnas.errors import InputError
from hnas.network.supernet import Supernet
from hnas.persist.record import recorded, restored
from hnas.settings import AugmentRules, TrainingRules
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import from_toml, to_toml
from hnas.studies.run.images import prepared
from hnas.studies.run.networks import Identity
from hnas.studies.search.network import same_teacher, train_network, untrained
from hnas.training.loop import Context
from hnas.training.processes import World
from hnas.training.supernet import train_supernet

IMAGES, SUPERNET, NETWORK = "images", "supernet", "network"
"""The tasks."""


def images_job(plan: Plan, device: torch.device, kept: Split | None) -> dict[str, Any]:
    """A job: load the images of a plan onto a device of this kind, as they were split before."""
    split = kept and recorded(kept)
    return {"task": IMAGES, "device": device.type, "plan": to_toml(plan), "split": split}


def supernet_job(identity: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """A job: train the supernet of an identity; it says the images and their split."""
    return {"task": SUPERNET, **identity, "seed": seed}


def network_job(identity: Identity, seed: int) -> dict[str, Any]:
    """A job: train the network of an identity."""
    of = identity.to_dict()
    images = {"split": identity.split, "images": identity.images}
    return {"task": NETWORK, "identity": of, "seed": seed, **images}


def serve(world: World) -> NoReturn:
    """Does the jobs of the first process until both end."""
    data, images = None, ""
    try:
        for job in world.jobs():
            if job["task"] == IMAGES:
                data, images = _images(job)
                continue
            if data is None or images != (asked := f"{job['split']}, {job['images']}"):
                here = f"process {os.environ.get('RANK', '?')} on {os.uname().nodename}"
                raise InputError(
                    f"the images of {here} are not those of the first process: the fingerprints of "
                    f"split and images are {images or 'none'}, must be {asked}. Give all machines "
                    "the same files"
                )
            join = join_supernet if job["task"] == SUPERNET else join_network
            join(job, data, world)
    except Exception as error:
        world.leave(error)
    raise AssertionError("jobs have no end")


def _images(job: Mapping[str, Any]) -> tuple[Data, str]:
    """The images on this process's device, and the fingerprints of their split and of them."""
    device = torch.device(job["device"])
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    kept = job["split"] and restored(Split, job["split"])
    data, split = prepared(from_toml(job["plan"]), kept)
    return data.to(device), f"{split.fingerprint}, {split.images}"


def join_supernet(job: Mapping[str, Any], data: Data, world: World) -> None:
    """Takes part in training a supernet."""
    rules = restored(TrainingRules, job["training"])
    augment = restored(AugmentRules, job["augment"])
    net = Supernet(restored(Space, job["space"]), dropout=rules.dropout).to(data.mean.device)
    train_supernet(net, data, rules, augment, seed=job["seed"], context=Context(world=world))


def join_network(job: Mapping[str, Any], data: Data, world: World) -> None:
    """Takes part in training a network. Raises MismatchError if its teacher is another one here."""
    identity = restored(Identity, job["identity"])
    net, teacher = untrained(identity).to(data.mean.device), same_teacher(identity, data)
    data = data.with_held_out() if identity.held_out_too else data
    train_network(net, data, identity, teacher, seed=job["seed"], context=Context(world=world))
