"""`hnas init`: a plan to edit."""

from pathlib import Path

import click

from hnas.cli.screen import options
from hnas.errors import InputError
from hnas.studies.plan.toml import preset_text
from hnas.studies.request import Request, propose_plan


@click.command()
@click.argument("file", type=click.Path(path_type=Path), default="plan.toml")
@options.preset
@click.option("--data", metavar="NAME|PATH", help="Propose a plan for these images instead.")
@click.option(
    "--flops",
    metavar="MACS",
    help='With --data: about as many multiply-accumulates of one image, for example "50M".',
)
@options.device
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def init(
    file: Path, preset: str | None, data: str | None, flops: str | None, device: str, force: bool
) -> None:
    """Write a plan to edit.

    FILE is plan.toml by default, and the plan is that of a preset. With --data it is the plan that
    `hnas search --data` proposes on this device, with the reasons above it.

    \b
    Examples:
      hnas init                          the digits preset, to plan.toml
      hnas init --data photos mine.toml  a plan for a folder of images
      hnas search --plan mine.toml       search with that plan
    """
    if preset is not None and data is not None:
        raise click.UsageError("--preset and --data exclude each other: give one of them.")
    if flops is not None and data is None:
        raise click.UsageError(
            "--flops needs --data: without --data, edit search.flops in the plan."
        )
    if data is not None:
        asked = Request(data=data, device=device, flops=flops, spell=options.as_option)
        proposal = propose_plan(asked)
        for note in proposal.survey.notes:
            click.echo(f"note: {note}")
        text, origin = proposal.toml(), f"proposed for {data}"
    else:
        preset = preset or "digits"
        text, origin = preset_text(preset), f"a copy of the preset {preset}"
    try:
        with file.open("w" if force else "x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise InputError(f"{file} exists: give another name, or --force to replace it") from None
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}") from None
    click.echo(f"Wrote {file}, {origin}.")
