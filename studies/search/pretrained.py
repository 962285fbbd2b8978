"""Pretrained weights, from which the supernets of a search begin."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from hnas.data import normalise
from hnas.data.images import Images
from hnas.errors import CheckpointError, InputError
from hnas.exchange.adapt import adapt, check_plain
from hnas.exchange.export import Network, is_network
from hnas.exchange.export import load as load_network
from hnas.exchange.import_network import import_network
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet, extend
from hnas.studies.plan.fine_tuning import Start
from hnas.studies.search.session import Session
from hnas.training import checkpoint
from hnas.training.local_start import begin_local

FITTED_ON = 128
"""Training images that local heads are fitted on, at most."""


def begin(session: Session, net: Supernet, stage: int) -> None:
    """Gives a stage's untrained supernet the pretrained weights, in place.

    What it begins with is kept in the run: a search that is resumed needs the file no more, and
    begins with the same bits on any machine. Raises InputError if the file is not usable.
    """
    path = session.run.pretrained(stage)
    if (kept := checkpoint.load(path)) is not None:
        net.load_state_dict(kept.tensors)
        return
    plain = adapted(session)
    if session.plan.pretrained.local != "random":
        fits = stage == 1 and session.plan.pretrained.local == "fitted"
        begin_local(net, plain, _images(session) if fits else None)
    extend(net, [plain])
    checkpoint.save(path, net.state_dict(), {"stage": stage})


def adapted(session: Session) -> Glit:
    """The plain network of the plan's file in the plan's frame."""
    rules, seed = session.plan.pretrained, session.run.seed("pretrained classifier")
    network, _ = read_plain(Path(rules.file))
    with _naming(rules.file):
        return adapt(network.model, session.plan.net, keep=rules.keep, seed=seed)


def start_of(file: Path) -> Start:
    """The network of a file, for a plan. Raises InputError if a search cannot begin with it."""
    network, taken = read_plain(file)
    model = network.model
    with _naming(file):
        check_plain(model)
    return Start(
        file=str(file),
        frame=model.frame,
        block=model.arch.blocks[0],
        mean=network.mean,
        std=network.std,
        taken=taken,
    )


def read_plain(file: Path) -> tuple[Network, tuple[str, ...]]:
    """The network of a file, and what was assumed of it: a network of hnas if it is one, else
    weights from elsewhere. Raises InputError, naming the file."""
    if is_network(file):
        try:
            return load_network(file), ()
        except CheckpointError as error:
            raise InputError(str(error)) from None
    imported = import_network(file)
    return imported.network, imported.taken


def _images(session: Session) -> torch.Tensor:
    """Evenly spaced training images, normalised: a source that is sorted gives all its classes."""
    data = session.data
    n = len(data.train)
    count = min(FITTED_ON, n)
    some: Images = data.train.take(torch.arange(count) * n // count)
    return normalise(some.tensor().cpu(), data.mean.cpu(), data.std.cpu())


@contextmanager
def _naming(file: Path | str) -> Iterator[None]:
    """Names the file in an error about its network."""
    try:
        yield
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
