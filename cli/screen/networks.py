"""Networks that a command line names: the winner of a run, or exported files."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hnas.cli.screen import options
from hnas.errors import InputError

if TYPE_CHECKING:
    import torch

    from hnas.exchange.export import Network


def network(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds [RUN|FILE] and --run; the command receives `source: Path`, the newest run if none is
    named."""

    @click.argument(
        "argument", metavar="[RUN|FILE]", required=False, type=click.Path(path_type=Path)
    )
    @options.run_option
    @wraps(command)
    def with_network(argument: Path | None, option: Path | None, **rest: Any) -> Any:
        source = options.named_once(argument, option) or options.newest()
        return command(source=source, **rest)

    return with_network


def network_and_images(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds [RUN|FILE] IMAGE|FOLDER... and --run; the command receives `source: Path` and `images`.

    Without --run the first word names the network, unless it is an image itself, or the only word
    and a folder that is neither a run nor has a network's files.
    """

    @click.argument(
        "words", metavar="[RUN|FILE] IMAGE|FOLDER...", nargs=-1, type=click.Path(path_type=Path)
    )
    @options.run_option
    @wraps(command)
    def with_both(words: tuple[Path, ...], option: Path | None, **rest: Any) -> Any:
        from hnas.data.sources.files import suffixes

        is_image = bool(words) and words[0].suffix.lower() in suffixes()
        if option is None and words and not is_image and not _only_images(words):
            option, words = words[0], words[1:]
        if not words:
            raise click.UsageError("there is no IMAGE to predict: give one or more files.")
        source = options.located(option) or options.newest()
        return command(source=source, images=words, **rest)

    return with_both


def _only_images(words: tuple[Path, ...]) -> bool:
    """Whether the one word is a folder of images."""
    from hnas.studies.run.folder import is_run

    folder = words[0]
    known = not folder.is_dir() or is_run(folder) or any(folder.glob("*.safetensors"))
    return len(words) == 1 and not known


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
