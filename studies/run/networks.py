"""A run's networks, `networks/KEY`: what each was made from, and its weights; the winner to use.

Reading one needs no images and trains nothing.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.errors import CheckpointError, InputError, StateError
from hnas.persist.record import as_json, key_of, later, restored
from hnas.settings import AugmentRules, DistillationRules, TrainingRules
from hnas.studies.run.folder import Run
from hnas.studies.run.result import finished_result

if TYPE_CHECKING:
    from hnas.exchange.export import Network
    from hnas.network.glit import Glit

FOLDER = "networks"
KEY = re.compile(r"[0-9a-f]{12}")
"""What the files of a network are called."""


@dataclass(frozen=True, kw_only=True)
class Inherited:
    """The weights that a network begins with, if not random ones: those of a supernet's subnet."""

    supernet: str
    """Hash of the supernet's weights."""
    recalibration: int
    """Training images that the subnet's BatchNorm is measured on."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """All that a network's weights depend on."""

    frame: Frame
    arch: Arch
    training: TrainingRules
    augment: AugmentRules
    split: str
    """Fingerprint of the split of its images."""
    seed: int
    distillation: DistillationRules | None = later(None)
    """None without a teacher."""
    teacher: str | None = later(None)
    """Hash of the teacher's weights."""
    metric: str = later("accuracy")
    """Of held-out images: it chooses the epoch that is kept."""
    repeat: int = later(0)
    """Above 0: the same training again, from another seed."""
    images: str | None = later(None)
    """Fingerprint of the images; no part of the key, which was made without it at first."""
    start: Inherited | None = later(None)
    """None: random weights, from a seed of the key."""
    averaging: str | None = later(None)
    """How weights are averaged, if they are: `hnas.training.trainer.AVERAGING`; None also if a
    network is from before the decay warmed up."""
    held_out_too: bool = later(False)
    """Whether it is trained on the held-out images of its split too."""
    continues: str = later("")
    """The key of the run's network that it begins with the weights of; empty: as `start` says."""

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the checkpoint."""
        return as_json(self)

    @property
    def key(self) -> str:
        """The name of the network's files. It seeds the training too."""
        return key_of({name: v for name, v in self.to_dict().items() if name != "images"})


def network_path(run: Run, key: str) -> Path:
    """The checkpoint of a network, without suffix."""
    return run.folder / FOLDER / key


def trained_alone(run: Run) -> list[tuple[Identity, int, bool]]:
    """(what it is, epochs that it is trained for, whether that was all) of each network of the run
    that says it, by its key."""
    keys, found = sorted(path.stem for path in (run.folder / FOLDER).glob("*.json")), []
    for key in keys:
        with suppress(StateError, TypeError, ValueError):
            identity, meta = identity_of(run, key), run.newest_meta(network_path(run, key))
            epochs = int(meta.get("epoch", 0))
            ended = epochs >= identity.training.epochs or bool(meta.get("ended"))
            found.append((identity, epochs, ended))
    return found


def identity_of(run: Run, key: str) -> Identity:
    """What a network was made from. Raises StateError if its checkpoint does not say it."""
    try:
        if not KEY.fullmatch(key):  # it is part of a path, and comes from a file
            raise InputError(f"the key of a network is 12 hexadecimal digits, got {key!r}")
        return restored(Identity, run.newest_meta(network_path(run, key))["identity"])
    except (TypeError, KeyError, IndexError, InputError) as error:
        raise _missing(run, key, f"has no usable {FOLDER}/{key}.json ({error!r})") from None


def stored_network(run: Run, key: str) -> Glit:
    """A trained network of the run: on the CPU, in eval mode. Nothing is written.

    Raises StateError if its checkpoint is missing, damaged or not trained to the end.
    """
    from hnas.network.glit import Glit
    from hnas.training.trainer import load_trained

    made_from = identity_of(run, key)
    net = Glit(made_from.frame, made_from.arch)
    try:
        load_trained(net, network_path(run, key), made_from.training.epochs)
    except (CheckpointError, StateError) as error:
        found, *_ = str(error).split(". ")
        raise _missing(run, key, f"has not all of the network {key}: {found}") from None
    return net


def winner(run: Run) -> Network:
    """The winner of a finished search, ready to use: on the CPU, in eval mode.

    Raises StateError if the search is not finished, or the winner's weights are missing or damaged.
    """
    from hnas.exchange.export import Network

    result = finished_result(run)
    model, inputs = stored_network(run, result.winner.key), result.inputs
    return Network(
        model=model,
        classes=inputs.classes,
        mean=inputs.mean,
        std=inputs.std,
        background=inputs.background,
        interpolation=inputs.interpolation,
        crop_pct=inputs.crop_pct,
    )


def _missing(run: Run, key: str, reason: str) -> StateError:
    return StateError(
        f"the run {run.folder} {reason}. Restore it, or delete {FOLDER}/{key}.json and train it "
        f"again from the images: hnas retrain --run {run.folder}"
    )
