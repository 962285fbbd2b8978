"""`hnas dashboard`: a run's studies in the browser."""

from functools import partial
from pathlib import Path

import click

from hnas.cli.screen import options
from hnas.errors import HnasError


@click.command()
@options.run
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8080,
    help="Port to serve on; 0 takes any free one.",
)
@click.option("--host", default="127.0.0.1", help="An address that only this machine has.")
@options.storage
def dashboard(folder: Path | None, port: int, host: str, storage: str | None) -> None:
    """Show a run's studies in the browser.

    The command serves optuna-dashboard until Ctrl-C, for this machine only, because the dashboard
    asks for no password. A study's page ends with figures of hnas: the fronts of all stages, the
    hypervolume, the global groups of each block. Studies have a note. Trials on the front of a
    finished stage have a note and a drawing. While a search runs, figures and notes are updated
    about every half minute.

    --storage without --run shows all studies of that storage, with the figures and notes they have.

    \b
    Examples:
      hnas dashboard --run runs/digits
      ssh -L 8080:127.0.0.1:8080 HOST    to see it from another machine
    """
    from hnas.studies.dashboard.annotate import annotate, artifacts
    from hnas.studies.dashboard.server import dashboard as bound

    files, refresh = None, None
    if storage is None or folder is not None:
        run = options.find_run(folder, storage)
        storage, files, refresh = run.storage, artifacts(run), partial(annotate, run)
    with bound(storage, artifacts=files, refresh=refresh, host=host, port=port) as server:
        if refresh is not None:
            try:
                refresh()
            except HnasError as error:
                click.echo(f"Figures and notes are not updated: {error}", err=True)
        click.echo(f"http://{host}:{server.server_port}/dashboard  (Ctrl-C ends it)")
        server.serve_forever()
