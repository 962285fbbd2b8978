"""The other processes of a torchrun: they wait for jobs, and take part in loading, training and
scoring.

The first process is the search. Its jobs are plain JSON and say what to load, to train and to
score; weights and optimizer state follow when a training or a stage's scoring begins, so the others
need no file of the run.
"""

import itertools
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, Space
from hnas.data import Data, Split
from hnas.device import choose
from hnas.errors import InputError
from hnas.network.cnn import Cnn
from hnas.network.compiled import compile_blocks
from hnas.network.local.layouts import use
from hnas.network.precision import compute_in
from hnas.network.supernet import Supernet
from hnas.persist.record import as_json, recorded, restored
from hnas.scoring.record import Score
from hnas.settings import AugmentRules, ScoreRules, TrainingRules
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import from_toml, to_toml
from hnas.studies.run.images import prepared
from hnas.studies.run.networks import Identity
from hnas.studies.scoring.backend import Scorer
from hnas.studies.scoring.supernet_scorer import SupernetScorer
from hnas.studies.search.network import own_teacher, same_teacher, train_network, untrained
from hnas.training.distillation import Teacher
from hnas.training.loop import Context
from hnas.training.processes import World
from hnas.training.supernet import train_supernet

IMAGES, SUPERNET, NETWORK, WEIGHTS, SCORES = "images", "supernet", "network", "weights", "scores"
TEACHER = "teacher"
"""The tasks."""


def images_job(
    plan: Plan, device: torch.device, kept: Split | None, layouts: Mapping[str, str]
) -> dict[str, Any]:
    """A job: load the images of a plan onto a device of this kind, as they were split before, and
    compute there by these layouts."""
    split, plan_text = kept and recorded(kept), to_toml(plan)
    job = {"task": IMAGES, "device": device.type, "plan": plan_text, "split": split}
    return {**job, "layouts": dict(layouts)}


def supernet_job(identity: Mapping[str, Any], seed: int) -> dict[str, Any]:
    """A job: train the supernet of an identity; it says the images and their split."""
    return {"task": SUPERNET, **identity, "seed": seed}


def network_job(identity: Identity, seed: int) -> dict[str, Any]:
    """A job: train the network of an identity."""
    of = identity.to_dict()
    images = {"split": identity.split, "images": identity.images}
    return {"task": NETWORK, "identity": of, "seed": seed, **images}


@dataclass(frozen=True)
class SharedScorer:
    """A `hnas.studies.scoring.backend.Scorer` of the first process: all score a part of the
    architectures. The scores, and their order, are those of one process."""

    own: Scorer
    """Of the first process; the others have the same by `share_weights`."""
    images: Mapping[str, str | None]
    """Fingerprints of the `split` and the `images`."""
    world: World
    note: Callable[[str], None] = lambda text: None
    """Gets what the others' scorers note."""

    @property
    def fingerprint(self) -> dict[str, str]:
        return self.own.fingerprint

    def score(self, archs: Sequence[Arch]) -> Iterator[Score]:
        asked = [arch.to_json() for arch in archs]
        job = self.world.ask({"task": SCORES, **self.images, "archs": asked})
        mine, *others = dealt(len(archs), self.world.size)
        yield from self.own.score(archs[mine.start : mine.stop])
        for rank, part in enumerate(others, 1):
            for i in part:
                score, notes = self.world.take(f"{job}/{i}")
                for text in notes:
                    self.note(f"process {rank} of {self.world.size}: {text}")
                yield restored(Score, score)


def share_weights(
    net: Supernet,
    rules: ScoreRules,
    training: TrainingRules,
    images: Mapping[str, str | None],
    world: World,
) -> None:
    """Gives all processes what a `SharedScorer` of theirs scores with: weights, and how `training`
    computes with them, for the same scores."""
    device = net.pos_embed.device
    how = {"compiled": training.compile, "precision": training.precision}
    made = {"space": as_json(net.space), "rules": recorded(rules), **how}
    job = {"task": WEIGHTS, **images, **made}
    with world.process_group(device, job):
        world.broadcast(net.state_dict(), device)


def share_teacher(net: Cnn, frame: Frame, images: Mapping[str, str | None], world: World) -> None:
    """Gives all processes the CNN that the first one has trained for the images of a frame."""
    device = net.head.weight.device
    with world.process_group(device, {"task": TEACHER, **images, "frame": as_json(frame)}):
        world.broadcast(net.state_dict(), device)


def dealt(count: int, size: int) -> list[range]:
    """The part of each process: neighbours, which share activations."""
    ends = [rank * count // size for rank in range(size + 1)]
    return [range(first, end) for first, end in itertools.pairwise(ends)]


def serve(world: World) -> NoReturn:
    """Does the jobs of the first process until both end."""
    data, images, scorer, notes = None, "", None, list[str]()
    own: Teacher | None = None
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
            if job["task"] == WEIGHTS:
                scorer = join_weights(job, data, world, notes.append)
            elif job["task"] == SCORES:
                assert scorer is not None
                join_scores(job, scorer, world, notes)
            elif job["task"] == TEACHER:
                own = join_teacher(job, data, world)
            elif job["task"] == SUPERNET:
                join_supernet(job, data, world)
            else:
                join_network(job, data, world, own)
    except Exception as error:
        world.leave(error)
    raise AssertionError("jobs have no end")


def _images(job: Mapping[str, Any]) -> tuple[Data, str]:
    """The images on this process's device, and the fingerprints of their split and of them."""
    kind = job["device"]
    device = choose(f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if kind == "cuda" else kind)
    use(job["layouts"])
    kept = job["split"] and restored(Split, job["split"])
    data, split = prepared(from_toml(job["plan"]), kept)
    return data.to(device), f"{split.fingerprint}, {split.images}"


def join_supernet(job: Mapping[str, Any], data: Data, world: World) -> None:
    """Takes part in training a supernet."""
    rules = restored(TrainingRules, job["training"])
    augment = restored(AugmentRules, job["augment"])
    net = Supernet(restored(Space, job["space"]), dropout=rules.dropout).to(data.mean.device)
    train_supernet(net, data, rules, augment, seed=job["seed"], context=Context(world=world))


def join_network(
    job: Mapping[str, Any], data: Data, world: World, own: Teacher | None = None
) -> None:
    """Takes part in training a network; `own` is the CNN of the first process. Raises MismatchError
    if its teacher is another one here."""
    identity = restored(Identity, job["identity"])
    net, teacher = untrained(identity).to(data.mean.device), same_teacher(identity, data, own)
    data = data.with_held_out() if identity.held_out_too else data
    train_network(net, data, identity, teacher, seed=job["seed"], context=Context(world=world))


def join_teacher(job: Mapping[str, Any], data: Data, world: World) -> Teacher:
    """The CNN that the first process shares."""
    device = data.mean.device
    net = own_teacher(restored(Frame, job["frame"])).to(device)
    with world.process_group(device):
        net.load_state_dict(world.broadcast({}, device))
    return Teacher.of(net, data)


def join_weights(
    job: Mapping[str, Any], data: Data, world: World, note: Callable[[str], None]
) -> Scorer:
    """The scorer of a supernet that the first process shares."""
    net = Supernet(restored(Space, job["space"])).to(data.mean.device)
    compute_in(net, job["precision"])
    if job["compiled"]:
        compile_blocks(net)
    with world.process_group(data.mean.device):
        net.load_state_dict(world.broadcast({}, data.mean.device))
    return SupernetScorer(net, data, restored(ScoreRules, job["rules"]), note)


def join_scores(job: Mapping[str, Any], scorer: Scorer, world: World, notes: list[str]) -> None:
    """Scores this process's part, and gives the first one each score with the scorer's `notes`."""
    archs = [Arch.from_json(text) for text in job["archs"]]
    part = dealt(len(archs), world.size)[world.rank]
    scores = scorer.score(archs[part.start : part.stop])
    for i, score in zip(part, scores, strict=True):
        world.give(f"{job['job']}/{i}", [recorded(score), notes])
        notes.clear()
