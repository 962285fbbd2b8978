"""Training single networks from scratch: the winners, and the plain ViT they are compared with."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from hnas.arch import Arch
from hnas.cost import cost
from hnas.data import Data
from hnas.errors import InputError, StateError
from hnas.glit import Glit
from hnas.rules import AugmentRules, TrainingRules, recorded
from hnas.score import evaluate
from hnas.space import Frame
from hnas.training.loop import Epoch, train
from studies.plan import Retrain
from studies.run import Run
from studies.stage import Record


@dataclass(frozen=True, kw_only=True)
class Retrained:
    """A network trained alone."""

    key: str
    """Of its frame, architecture and training: the name of its files in the run."""
    frame: Frame
    arch: Arch
    macs: int
    params: int
    accuracy: float
    """Held-out accuracy, 0 to 1."""
    loss: float
    """Held-out loss, in nats."""
    epochs: int
    score: float | None = None
    """Its score with inherited weights; None where it was not searched."""


def best_by_score(records: Iterable[Record], top: int) -> list[Record]:
    """The `top` trials of highest score; of equal scores the cheaper, then the earlier, first."""
    return sorted(records, key=lambda r: (-r.accuracy, r.macs, r.number))[:top]


def best_retrained(networks: Iterable[Retrained]) -> Retrained:
    """The highest held-out accuracy; of equal ones the lower loss, then the cheaper."""
    return min(networks, key=lambda n: (-n.accuracy, n.loss, n.macs, n.key))


def retrain(
    run: Run,
    data: Data,
    split: str,
    rules: Retrain,
    arch: Arch,
    *,
    frame: Frame | None = None,
    score: float | None = None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    on_refused: Callable[[str], None] = lambda reason: None,
) -> tuple[Retrained, Glit]:
    """Trains one network, or goes on where it was broken off, or reads it where it is done.

    `split` is the fingerprint of the data's split. Same rules, same seed: the same weights (CPU).
    """
    frame = frame or run.plan.net
    training = rules.training
    identity: dict[str, Any] = {
        "frame": asdict(frame),
        "arch": arch.to_dict(),
        "training": recorded(training),
        "augment": recorded(rules.augment),
        "split": split,
        "seed": run.plan.search.seed,
    }
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
    net = Glit(frame, arch, dropout=training.dropout, drop_path=training.drop_path)
    net.reset(run.seed(f"network {key}")).to(data.mean.device)
    train(
        net,
        data,
        training,
        rules.augment,
        seed=run.seed(f"training {key}"),
        path=run.folder / "networks" / key,
        identity=json.loads(json.dumps(identity)),
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
        epochs=training.epochs,
        score=score,
    )
    return made, net


def as_json(network: Retrained) -> dict[str, Any]:
    """As it stands in result.json."""
    return {**asdict(network), "arch": network.arch.to_dict()}


def rules_of(run: Run, key: str) -> Retrain:
    """How a network of the run was trained, from its checkpoint. Raises StateError."""
    index = run.read(f"networks/{key}.json")
    try:
        identity = index["versions"][0]["meta"]["identity"]
        return Retrain(
            training=TrainingRules(**identity["training"]),
            augment=AugmentRules(**identity["augment"]),
        )
    except (TypeError, KeyError, IndexError, InputError) as error:
        raise StateError(
            f"the run {run.folder} has no usable networks/{key}.json ({type(error).__name__}). "
            "Restore it, or delete result.json to retrain"
        ) from None
