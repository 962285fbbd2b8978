"""The words of the page in Markdown."""

from __future__ import annotations

import dataclasses

from markdown_it import MarkdownIt

from hnas.studies.report.document import document
from hnas.studies.report.gather import Report
from hnas.studies.report.markdown import as_markdown


def test_it_says_what_the_page_says(report: Report) -> None:
    """Read by a Markdown parser, headings and tables are the document's."""
    tokens = MarkdownIt("commonmark").enable("table").parse(as_markdown(report))
    content = document(report)
    titles = [
        tokens[i + 1].content for i, t in enumerate(tokens) if t.type == "heading_open"
    ]  # fmt: skip
    assert titles == [content.title, *(section.title for section in content.sections)]
    tables = [table for section in content.sections for table in section.tables]
    assert sum(token.type == "table_open" for token in tokens) == len(tables)
    rows = sum(token.type == "tr_open" for token in tokens)
    assert rows == sum(1 + len(table.rows) for table in tables)
    fences = [token.content.rstrip("\n") for token in tokens if token.type == "fence"]
    assert fences == [text for section in content.sections for text in section.code]


def test_what_a_run_is_called_is_no_markup(report: Report) -> None:
    evil = "<b>|*a* [x](y) `z`\n# w"
    named = dataclasses.replace(report, run=evil, environment={evil: "1"}, toml="````\n```")
    tokens = MarkdownIt("commonmark").enable("table").parse(as_markdown(named))
    heading = tokens[1]
    assert heading.children is not None
    kinds = {child.type for child in heading.children}
    assert kinds <= {"text", "text_special"}
    shown = "".join(child.content for child in heading.children)
    assert shown == "Search <b>|*a* [x](y) `z` # w"
    assert [t.content for t in tokens if t.type == "fence"][-1] == "````\n```\n"
