"""`hnas init`: a plan to edit."""

from __future__ import annotations

from pathlib import Path

import click

from hnas.errors import InputError
from studies.plan import PRESETS, preset_text


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default="plan.toml")
@click.option(
    "--preset", metavar="NAME", default="digits", help=f"One of {', '.join(PRESETS)} [digits]."
)
@click.option("--force", is_flag=True, help="Replace FILE where it exists.")
def init(file: Path, preset: str, force: bool) -> None:
    """Write a plan to edit, out of a preset.

    FILE is plan.toml where it is not given.
    """
    text = preset_text(preset)
    try:
        with file.open("w" if force else "x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise InputError(f"{file} exists: give another name, or --force to replace it") from None
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}") from None
    click.echo(f"Wrote {file} out of the preset {preset}.")
