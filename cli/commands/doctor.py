"""`hnas doctor`: whether this machine can search."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from hnas.cli.screen.options import device_option, storage_option
from hnas.studies.request import RUNS


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Machine-readable.")
@device_option
@storage_option
def doctor(as_json: bool, device: str, storage: str | None) -> None:
    """Check that this machine can search.

    Versions, device, data, disk, the studies' storage, and a self-test of some seconds: a small
    supernet is trained and scored, and one subnet compared with its standalone network. The exit
    code is 2 where a check fails.

    With --json a list of objects with `name`, `fine` and `words`.

    \b
    Examples:
      hnas doctor
      hnas doctor --device cuda --storage postgresql://me@host/studies
    """
    from hnas.studies.doctor import examine

    found = []
    for check in examine(device, RUNS, storage):
        found.append(check)
        if not as_json:
            click.echo(f"{'ok' if check.fine else 'FAILED':8}{check.name:11}{check.words}")
    if as_json:
        click.echo(json.dumps([asdict(check) for check in found]))
    if not all(check.fine for check in found):
        click.get_current_context().exit(2)
