"""A run's networks: what each was made from, and its weights."""

from __future__ import annotations

import re
from typing import Any

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.errors import InputError, StateError
from hnas.network.glit import Glit
from hnas.settings import AugmentRules, DistillationRules, TrainingRules
from hnas.studies.plan.plan import Retrain
from hnas.studies.run.folder import Run
from hnas.training.trainer import load_trained

KEY = re.compile(r"[0-9a-f]{12}")
"""What the files of a network are called."""


def stored_network(run: Run, key: str) -> Glit:
    """A network of the run that is trained, read alone: on CPU, in eval mode, nothing is written.

    Raises StateError, CheckpointError.
    """
    frame, arch, rules = _parsed(_identity(run, key))
    net = Glit(frame, arch)
    load_trained(net, run.folder / "networks" / key, rules.training.epochs)
    return net


def _identity(run: Run, key: str) -> dict[str, Any]:
    """What a network was made from. Raises StateError where its checkpoint does not say it."""
    try:
        if not KEY.fullmatch(key):  # it is part of a path, and comes from a file
            raise InputError(f"the key of a network is 12 hexadecimal digits, got {key!r}")
        identity: dict[str, Any] = run.read(f"networks/{key}.json")["versions"][0]["meta"][
            "identity"
        ]
        _parsed(identity)
        return identity
    except (TypeError, KeyError, IndexError, InputError) as error:
        raise StateError(
            f"the run {run.folder} has no usable networks/{key}.json ({type(error).__name__}). "
            "Restore it, or delete result.json to retrain"
        ) from None


def _parsed(identity: dict[str, Any]) -> tuple[Frame, Arch, Retrain]:
    return (
        Frame(**identity["frame"]),
        Arch.from_dict(identity["arch"]),
        Retrain(
            training=TrainingRules(**identity["training"]),
            augment=AugmentRules(**identity["augment"]),
            distillation=DistillationRules(**identity.get("distillation", {})),
        ),
    )
