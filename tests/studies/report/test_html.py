"""The page: one file, nothing from elsewhere, and nothing of a run is taken for markup."""

from __future__ import annotations

import dataclasses
import re
from html.parser import HTMLParser

import pytest

from hnas.studies.report.document import document
from hnas.studies.report.gather import Report
from hnas.studies.report.html import as_html

VOID = {"meta", "link", "br", "img"}


class Checker(HTMLParser):
    """Collects elements and their text, and fails where one is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    return checker


@pytest.fixture(scope="module")
def text(report: Report) -> str:
    return as_html(report)


def test_everything_of_the_document_is_in_the_page(report: Report, text: str) -> None:
    page = checked(text)
    content = document(report)
    for section in content.sections:
        for words in (section.title, *section.text, *section.notes, *section.code):
            assert words in page.text
        for table in section.tables:
            assert all(cell in page.text for row in table.rows for cell in row)
    drawings = sum(len(section.drawings) for section in content.sections)
    assert page.tags.count("svg") == drawings >= 6


def test_nothing_comes_from_elsewhere(text: str) -> None:
    page = checked(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(page.tags)
    addresses = [value for name, value in page.attributes if name in ("src", "href", "xlink:href")]
    assert all(value and value.startswith("#") for value in addresses)
    assert not re.search(r"@import|url\((?!#)", text)


def test_what_a_run_is_called_is_no_markup(report: Report) -> None:
    evil = "<script>alert(1)</script> & $x_{$"
    named = dataclasses.replace(report, run=evil, toml=evil, environment={evil: evil})
    page = checked(as_html(named))
    assert "script" not in page.tags
    assert page.text.count(evil) == 5  # title, heading, the plan, and a row of two cells


def test_the_same_report_gives_the_same_page(report: Report, text: str) -> None:
    assert as_html(report) == text
