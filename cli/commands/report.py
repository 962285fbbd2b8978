"""`hnas report`: a report on a run, as one file."""

from pathlib import Path

import click

from hnas.cli.screen import options


@click.command()
@options.run
@click.option(
    "--format",
    "kind",
    type=click.Choice(["html", "md", "json"]),
    default="html",
    help="A page, its text as Markdown, or its numbers as JSON.",
)
@click.option(
    "--to",
    "file",
    type=options.FILE,
    metavar="FILE",
    show_default="report.html, .md or .json in the run's folder",
    help="File to write.",
)
@options.force
@options.chance
@options.storage
def report(
    folder: Path | None, kind: str, file: Path | None, force: bool, seed: int, storage: str | None
) -> None:
    """Write a report on a run, as one file.

    The report compares the winner with an all-global network of the same cost, draws it, and shows
    the front, the search, the parameters that the score depends on, traits of the best networks,
    costs, and the commands that repeat it. The page needs no internet and can be printed. The
    report on an unfinished search says what is missing. A report takes the place of the one before;
    another file of that name is kept.
    """
    from hnas.studies.report.write import write_report

    run = options.find_run(folder, storage)
    file = write_report(run, file, kind=kind, force=force, seed=seed)
    click.echo(f"Wrote {file} ({file.stat().st_size:,} bytes)")
