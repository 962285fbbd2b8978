"""Networks that a command line names: the winner of a run, or exported files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hnas.errors import InputError

if TYPE_CHECKING:
    import torch

    from hnas.exchange.export import Network

network_argument: Callable[..., Callable[..., object]] = click.argument(
    "source", metavar="RUN|FILE", type=click.Path(path_type=Path)
)


def read_network(source: Path, device: torch.device) -> Network:
    """The winner of a finished run, or the network of a FILE or of its folder.

    Raises InputError if there is neither, StateError and CheckpointError.
    """
    from hnas.exchange.export import load
    from hnas.studies.run.folder import is_run, shared_run
    from hnas.studies.run.networks import winner

    network = winner(shared_run(source)) if is_run(source) else load(_named(source))
    network.model.to(device)
    return network


def _named(source: Path) -> Path:
    """The files of a network: themselves, or the only ones in a folder."""
    from hnas.exchange.export import named

    if source.is_dir():
        found = sorted(source.glob("*.safetensors"))
        if len(found) != 1:
            names = ", ".join(path.stem for path in found) or "none"
            raise InputError(
                f"{source} must be a run (with a plan.toml) or hold the files of one network, "
                f"NAME.safetensors and NAME.json; got: {names}"
            )
        source = found[0]
    if not (described := named(source, "json")).exists():
        raise InputError(
            f"{source} is neither a run nor a network: there is no {described}. "
            "Give a run's folder, or the FILE of `hnas export --to FILE`"
        )
    return source
