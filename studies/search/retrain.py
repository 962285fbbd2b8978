"""Training single networks from scratch: the winners, and the plain ViT they are compared with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.cost.flops import cost
from hnas.data import Data
from hnas.errors import MismatchError
from hnas.network.glit import Glit
from hnas.persist.record import restored
from hnas.scoring.score import evaluate
from hnas.studies.plan.plan import Retrain
from hnas.studies.run.folder import Run
from hnas.studies.run.networks import Identity, network_path
from hnas.studies.run.result import TrainedNetwork
from hnas.studies.scoring.supernet_scorer import weights_hash
from hnas.training.distillation import Teacher, distilled, load_teacher
from hnas.training.loop import Epoch, train
from hnas.training.processes import ONE_PROCESS, World


def retrain(
    run: Run,
    data: Data,
    split: str,
    rules: Retrain,
    arch: Arch,
    *,
    frame: Frame | None = None,
    teacher: Teacher | None = None,
    score: float | None = None,
    repeat: int = 0,
    world: World = ONE_PROCESS,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_refused: Callable[[str], None] = lambda reason: None,
) -> tuple[TrainedNetwork, Glit]:
    """Trains one network, or goes on where it was broken off, or reads it where it is done.

    `split` is the fingerprint of the data's split; `teacher` the one that `rules` name, if any.
    Same rules, same seed: the same weights (CPU).
    A `repeat` above 0 is the same training from another seed, for judging what was picked by 0.
    """
    frame = frame or run.plan.net
    identity = Identity(
        frame=frame,
        arch=arch,
        training=rules.training,
        augment=rules.augment,
        split=split,
        seed=run.plan.search.seed,
        distillation=rules.distillation if teacher else None,
        teacher=weights_hash(teacher.module.state_dict()) if teacher else None,
        repeat=repeat,
    )
    net = _network(identity)
    net.reset(run.seed(f"network {identity.key}")).to(data.mean.device)
    seed = run.seed(f"training {identity.key}")
    _train(
        net,
        data,
        identity,
        teacher,
        seed,
        path=network_path(run, identity.key),
        identity=identity.to_dict(),
        job={"task": "network", "identity": identity.to_dict(), "seed": seed},
        world=world,
        on_epoch=on_epoch,
        on_refused=on_refused,
    )
    found = evaluate(net, data.held_out, data, batch=run.plan.score.batch)
    spent = cost(frame, arch)
    made = TrainedNetwork(
        key=identity.key,
        frame=frame,
        arch=arch,
        macs=spent.macs,
        params=spent.params,
        accuracy=found.accuracy,
        loss=found.loss,
        epochs=rules.training.epochs,
        score=score,
    )
    return made, net


def join(job: Mapping[str, Any], data: Data, world: World) -> None:
    """Takes part in training a network, as a process that is not the first: what it asks for."""
    identity = restored(Identity, job["identity"])
    net = _network(identity).to(data.mean.device)
    _train(net, data, identity, _teacher(identity, data), job["seed"], world=world)


def _teacher(identity: Identity, data: Data) -> Teacher | None:
    """The teacher that a network is made with, if any. Raises MismatchError if another is in its
    place."""
    if identity.distillation is None:
        return None
    name = identity.distillation.teacher
    found = load_teacher(name, data)
    if weights_hash(found.module.state_dict()) != identity.teacher:
        raise MismatchError(
            f"the teacher {name} is not the one of the first process: its weights are others. "
            "Give all machines the same files"
        )
    return found


def _network(identity: Identity) -> Glit:
    """Without weights."""
    training = identity.training
    return Glit(
        identity.frame, identity.arch, dropout=training.dropout, drop_path=training.drop_path
    )


def _train(
    net: Glit, data: Data, made_from: Identity, teacher: Teacher | None, seed: int, **more: Any
) -> None:
    """`more` is `train`'s."""

    def distil(loss: Tensor, logits: Tensor, images: Tensor) -> Tensor:
        if teacher is None or made_from.distillation is None:
            return loss
        return distilled(loss, logits, teacher(images), made_from.distillation)

    train(net, data, made_from.training, made_from.augment, seed=seed, distil=distil, **more)
