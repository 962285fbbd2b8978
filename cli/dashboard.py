"""`hnas dashboard`: a run's studies in the browser."""

from __future__ import annotations

from pathlib import Path

import click

from cli.options import find_run, run_option, storage_option


@click.command()
@run_option
@click.option("--port", type=click.IntRange(0, 65535), default=8080, help="0: any free one [8080].")
@click.option("--host", default="127.0.0.1", help="An address of this machine alone [127.0.0.1].")
@storage_option
def dashboard(folder: Path | None, port: int, host: str, storage: str | None) -> None:
    """Show a run's studies in the browser.

    Serves optuna-dashboard until Ctrl-C, on this machine alone: it asks for no password. With
    --storage and no --run all studies of that storage are shown.

    \b
    Examples:
      hnas dashboard --run runs/digits
      ssh -L 8080:127.0.0.1:8080 HOST    and it is there on your machine too
    """
    from studies.dashboard import dashboard as bound
    from studies.dashboard import link_stages
    from studies.run import open_run

    if storage is None or folder is not None:
        run = open_run(find_run(folder), storage=storage)
        storage = run.storage
        link_stages(run)
    with bound(storage, host=host, port=port) as server:
        click.echo(f"http://{host}:{server.server_port}/dashboard  (Ctrl-C ends it)")
        server.serve_forever()
