"""`hnas report`: a run as one file to read, print or pass on."""

from __future__ import annotations

from pathlib import Path

import click

from hnas.cli.screen.options import find_run, storage_option

SUFFIXES = {"html": ".html", "md": ".md", "json": ".json"}


@click.command()
@click.argument(
    "folder", metavar="[RUN]", required=False, type=click.Path(path_type=Path, file_okay=False)
)
@click.option(
    "--format",
    "kind",
    type=click.Choice(list(SUFFIXES)),
    default="html",
    help="A page, its words as Markdown, or its numbers as JSON [html].",
)
@click.option(
    "--to",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write it [report.html, .md or .json in the run's folder].",
)
@click.option("--seed", default=0, show_default=True, help="Of the random networks compared with.")
@storage_option
def report(
    folder: Path | None, kind: str, file: Path | None, seed: int, storage: str | None
) -> None:
    """Write what a run has found as one file.

    The winner beside an all-global network of the same cost, the network drawn, the front, the
    search, what the score depends on, what the best have in common, costs, and how to repeat it.
    The page needs no network and prints. Of a search that goes on it says what is missing.
    """
    from hnas.persist.atomic import write_atomic
    from hnas.studies.report.as_json import as_json
    from hnas.studies.report.gather import gather
    from hnas.studies.report.html import as_html
    from hnas.studies.report.markdown import as_markdown
    from hnas.studies.run.folder import open_run

    run = open_run(find_run(folder), storage=storage)
    file = file or run.folder / f"report{SUFFIXES[kind]}"
    render = {"html": as_html, "md": as_markdown, "json": as_json}[kind]
    write_atomic(file, render(gather(run, seed=seed)).encode())
    click.echo(f"Wrote {file} ({file.stat().st_size:,} bytes)")
