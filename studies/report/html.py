"""A report as one HTML file that needs nothing else: no scripts, no fonts, no network."""

from functools import cache
from importlib import resources

from jinja2 import Environment, StrictUndefined, Template

from hnas.studies.report.document import document
from hnas.studies.report.gather import Report


@cache
def _template() -> Template:
    text = resources.files("hnas.studies.report").joinpath("page.html.jinja").read_text("utf-8")
    # Whatever comes from a run (a folder's name, a path) is escaped.
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text)


def as_html(report: Report) -> str:
    """The page."""
    return _template().render(document=document(report)) + "\n"
