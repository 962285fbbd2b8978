"""`hnas doctor`: a check of this machine."""

import json
from dataclasses import asdict

import click

from hnas.cli.screen import options
from hnas.studies.request.request import RUNS


@click.command()
@options.json
@options.device
@options.storage
def doctor(as_json: bool, device: str, storage: str | None) -> None:
    """Check that this machine can search.

    The command checks versions, device, data, disk and the studies' storage. A self-test of some
    seconds trains and scores a small supernet, and compares one subnet with its standalone network.
    The exit code is 2 if a check fails.

    --json prints a list of objects with `name`, `fine` and `words`.

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
