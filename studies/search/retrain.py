"""Training single networks from scratch: the winners, and the plain ViT they are compared with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

from torch import Tensor

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.cost.flops import cost
from hnas.data import Data
from hnas.errors import MismatchError
from hnas.network.glit import Glit
from hnas.persist.record import recorded
from hnas.scoring.score import evaluate
from hnas.studies.plan.plan import Retrain
from hnas.studies.run.folder import Run
from hnas.studies.run.networks import _identity, _parsed
from hnas.studies.run.result import Retrained
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
) -> tuple[Retrained, Glit]:
    """Trains one network, or goes on where it was broken off, or reads it where it is done.

    `split` is the fingerprint of the data's split; `teacher` the one that `rules` name, if any.
    Same rules, same seed: the same weights (CPU).
    A `repeat` above 0 is the same training from another seed, for judging what was picked by 0.
    """
    frame = frame or run.plan.net
    identity: dict[str, Any] = {
        "frame": recorded(frame),
        "arch": arch.to_dict(),
        "training": recorded(rules.training),
        "augment": recorded(rules.augment),
        "split": split,
        "seed": run.plan.search.seed,
    }
    if teacher is not None:
        identity["distillation"] = recorded(rules.distillation)
        identity["teacher"] = _weights(teacher)
    if repeat:
        identity["repeat"] = repeat
    identity = json.loads(json.dumps(identity))
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    net = _trained(
        run,
        data,
        key,
        identity,
        lambda: teacher,
        world=world,
        on_epoch=on_epoch,
        on_refused=on_refused,
    )
    found = evaluate(net, data.held_out, data, batch=run.plan.score.batch)
    spent = cost(frame, arch)
    made = Retrained(
        key=key,
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


def network_of(
    run: Run,
    data: Data,
    key: str,
    *,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_refused: Callable[[str], None] = lambda reason: None,
) -> Glit:
    """A network of the run, as it was trained then, whatever the plan says now.

    A teacher is asked for only where there is something left to train. Raises StateError where the
    checkpoint's index is not usable, MismatchError where the teacher is needed and another.
    """
    identity = _identity(run, key)
    teacher = partial(_teacher, identity, key, data)
    return _trained(run, data, key, identity, teacher, on_epoch=on_epoch, on_refused=on_refused)


def join(job: Mapping[str, Any], data: Data, world: World) -> None:
    """Takes part in training a network, as a process that is not the first: what it asks for."""
    key, identity = job["key"], job["identity"]
    teacher = partial(_teacher, identity, key, data)
    _train(
        _network(identity).to(data.mean.device), data, identity, teacher, job["seed"], world=world
    )


def _teacher(identity: dict[str, Any], key: str, data: Data) -> Teacher | None:
    """The teacher that a network was made with, if any. Raises MismatchError where there is another
    in its place."""
    if "teacher" not in identity:
        return None
    name = identity["distillation"]["teacher"]
    found = load_teacher(name, data)
    if _weights(found) != identity["teacher"]:
        raise MismatchError(
            f"the teacher {name} is not the one that networks/{key}.json was trained with: its "
            "weights are others. Restore it, or delete result.json to retrain"
        )
    return found


def _weights(teacher: Teacher) -> str:
    return weights_hash(teacher.module.state_dict())


def _trained(
    run: Run,
    data: Data,
    key: str,
    identity: dict[str, Any],
    teacher: Callable[[], Teacher | None],
    **more: Any,
) -> Glit:
    """The network of an identity, which is all that its weights depend on; `more` is `train`'s."""
    net = _network(identity)
    net.reset(run.seed(f"network {key}")).to(data.mean.device)
    seed = run.seed(f"training {key}")
    _train(
        net,
        data,
        identity,
        teacher,
        seed,
        path=run.folder / "networks" / key,
        identity=identity,
        job={"task": "network", "key": key, "identity": identity, "seed": seed},
        **more,
    )
    return net


def _network(identity: dict[str, Any]) -> Glit:
    """Without weights."""
    frame, arch, rules = _parsed(identity)
    training = rules.training
    return Glit(frame, arch, dropout=training.dropout, drop_path=training.drop_path)


def _train(
    net: Glit,
    data: Data,
    made_from: dict[str, Any],
    teacher: Callable[[], Teacher | None],
    seed: int,
    **more: Any,
) -> None:
    rules = _parsed(made_from)[2]
    teacher = cache(teacher)

    def distil(loss: Tensor, logits: Tensor, images: Tensor) -> Tensor:
        found = teacher()
        if found is None:
            return loss
        return distilled(loss, logits, found(images), rules.distillation)

    train(net, data, rules.training, rules.augment, seed=seed, distil=distil, **more)
