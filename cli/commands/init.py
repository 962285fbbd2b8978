"""`hnas init`: a plan to edit."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hnas.cli.screen import options
from hnas.errors import InputError
from hnas.studies.plan.text import edited
from hnas.studies.plan.toml import preset_text
from hnas.studies.request.decide import plan_of
from hnas.studies.request.request import Request


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@options.preset
@click.option("--data", metavar="NAME|PATH", help="Propose a plan for these images instead.")
@options.pretrained
@options.flops
@options.convention
@options.params
@options.time
@options.values
@options.device
@click.option(
    "--schema",
    is_flag=True,
    help="Write the JSON schema of plans instead, to plan.schema.json: an editor that knows TOML "
    "completes and checks a plan whose first line is `#:schema ./plan.schema.json`.",
)
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def init(file: Path | None, schema: bool, force: bool, **asked: Any) -> None:
    """Write a plan to edit.

    FILE is plan.toml by default, and the plan is that of a preset. With --data it is the plan that
    `hnas search --data` proposes on this device, with the reasons above it.

    \b
    Examples:
      hnas init                          the digits preset, to plan.toml
      hnas init --data photos mine.toml  a plan for a folder of images
      hnas search --plan mine.toml       search with that plan
      hnas init --schema                 to complete and check plans in an editor
    """
    if schema:
        from hnas.studies.plan.schema import schema as plan_schema

        file = file or Path("plan.schema.json")
        _write(file, json.dumps(plan_schema(), indent=1, ensure_ascii=False) + "\n", force)
        click.echo(f"Wrote {file}. First line of a plan beside it: #:schema ./{file.name}")
        return
    file = file or Path("plan.toml")
    from hnas.studies.run.paths import here

    request = Request(spell=options.as_option, **{**asked, "data": here(asked["data"])})
    if request.preset is not None and request.data is not None:
        raise click.UsageError("--preset and --data exclude each other: give one of them.")
    preset = request.preset or (None if request.data else "digits")
    plan, proposal, note = plan_of(replace(request, preset=preset))
    if proposal is None:
        preset = preset or request.data
        assert preset is not None
        text, origin = edited(preset_text(preset), plan), f"a copy of the preset {preset}"
    else:
        for told in proposal.survey.notes:
            click.echo(f"note: {told}")
        text, origin = proposal.toml(plan), f"proposed for {request.data}"
    _write(file, text, force)
    if note:
        click.echo(note)
    click.echo(f"Wrote {file}, {origin}.")


def _write(file: Path, text: str, force: bool) -> None:
    try:
        with file.open("w" if force else "x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError:
        raise InputError(f"{file} exists: give another name, or --force to replace it") from None
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}") from None
