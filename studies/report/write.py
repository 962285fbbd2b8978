"""A report as one file: a page, its text as Markdown, or its numbers as JSON."""

from pathlib import Path

from hnas.errors import InputError
from hnas.persist.ours import write_ours
from hnas.studies.report.as_json import as_json
from hnas.studies.report.gather import gather
from hnas.studies.report.html import as_html
from hnas.studies.report.markdown import as_markdown
from hnas.studies.run.folder import Run

FORMATS = {"html": as_html, "md": as_markdown, "json": as_json}
"""By the suffix of their files."""


def write_report(
    run: Run, file: Path | None, *, kind: str = "", force: bool = False, seed: int = 0
) -> Path:
    """Writes the report on a run and gives its path: `file`, or report.KIND in the run's folder.
    The `kind` is one of FORMATS; empty: the suffix of the file.

    Raises InputError for another kind, or, without `force`, if `file` is there and is no report.
    """
    kind = kind or (file.suffix.lstrip(".").lower() if file else "html")
    if kind not in FORMATS:
        raise InputError(f"a report must be one of {', '.join(FORMATS)}, got {kind!r} of {file}")
    force, file = force or file is None, file or run.folder / f"report.{kind}"
    write_ours({file: FORMATS[kind](gather(run, seed=seed)).encode()}, to=file, force=force)
    return file
