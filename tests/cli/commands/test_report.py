"""`hnas report`: the file is written, and a real browser shows it with nothing from elsewhere."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.studies.report.write import FORMATS
from tests.support.browser import chromium
from tests.support.moved_images import CHANGES, changed


def invoke(*args: object) -> Result:
    return CliRunner().invoke(hnas, ["report", *map(str, args)], catch_exceptions=False)


SAID = "much is said, " * 30
"""Of images that were left out: a sentence in a table."""


@pytest.fixture(scope="module")
def folder(finished: tuple[Path, Result], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of a finished run; its name is part of its studies' names."""
    copy = tmp_path_factory.mktemp("report") / finished[0].name
    shutil.copytree(finished[0], copy)
    about = json.loads((copy / "run.json").read_text())
    about["images"] = [SAID]
    (copy / "run.json").write_text(json.dumps(about))
    return copy


@pytest.fixture(scope="module")
def page(folder: Path) -> Path:
    result = invoke(folder)
    assert result.exit_code == 0, result.output
    file = folder / "report.html"
    assert result.stdout == f"Wrote {file} ({file.stat().st_size:,} bytes)\n"
    return file


def test_it_is_written_into_the_run(page: Path, folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text())
    assert f"{result['winner']['macs']:,} MACs" in page.read_text("utf-8")


def test_other_formats_and_places(folder: Path, tmp_path: Path) -> None:
    assert invoke(folder, "--format", "json", "--to", tmp_path / "r.json").exit_code == 0
    value = json.loads((tmp_path / "r.json").read_text("utf-8"))
    result = json.loads((folder / "result.json").read_text())
    assert value["answer"]["winner"]["macs"] == result["winner"]["macs"]
    assert invoke(folder, "--format", "md").exit_code == 0
    assert (folder / "report.md").read_text("utf-8").startswith("# Search finished\n")


@pytest.mark.parametrize("kind", ["html", "md", "json"])
def test_a_report_replaces_a_report_and_nothing_else(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    file, args = tmp_path / "mine", ("--format", kind, "--to", tmp_path / "mine")
    assert invoke(folder, *args).exit_code == 0
    text = file.read_text("utf-8")
    monkeypatch.setitem(FORMATS, kind, lambda report: text)  # made once
    assert invoke(folder, *args).exit_code == 0
    file.write_bytes(b"my own notes")
    refused = invoke(folder, *args)
    assert refused.exit_code == 2 and f"{file} is there, with something else" in refused.stderr
    assert file.read_bytes() == b"my own notes"
    assert invoke(folder, *args, "--force").exit_code == 0
    plan = (folder / "plan.toml").read_bytes()
    assert invoke(folder, "--format", kind, "--to", folder / "plan.toml").exit_code == 2
    assert (folder / "plan.toml").read_bytes() == plan


@pytest.mark.parametrize("what", CHANGES)
def test_a_finished_run_needs_no_images(photographed: Path, tmp_path: Path, what: str) -> None:
    def answer(run: Path) -> object:
        assert invoke(run, "--format", "json", "--to", tmp_path / "r.json").exit_code == 0
        return json.loads((tmp_path / "r.json").read_text("utf-8"))["answer"]

    expected = answer(photographed)
    with changed(photographed, what, tmp_path / "here") as run:
        assert answer(run) == expected


def test_a_run_that_has_only_a_plan(tmp_path: Path, tiny: Path) -> None:
    shutil.copy(tiny, tmp_path / "plan.toml")
    assert invoke(tmp_path).exit_code == 0
    assert "No answer yet" in (tmp_path / "report.html").read_text("utf-8")


def test_a_place_that_cannot_be_written_is_told(folder: Path, tmp_path: Path) -> None:
    result = invoke(folder, "--format", "json", "--to", tmp_path / "none" / "r.json")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ") and "No such file or directory" in result.stderr


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as driver:
        yield driver


def requested(browser: Any) -> list[str]:
    """What has been fetched since this was asked last."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    ]


@pytest.fixture
def opened(browser: Any, page: Path) -> Any:
    browser.set_window_size(1200, 900)
    requested(browser)
    browser.get(page.as_uri())
    return browser


def test_it_opens_without_errors_and_fetches_nothing(opened: Any, page: Path) -> None:
    assert requested(opened) == [page.as_uri()]
    assert opened.get_log("browser") == []


def test_headings_tables_and_pictures_are_to_be_seen(opened: Any) -> None:
    assert opened.title == "Search finished"
    headings = [heading.text for heading in opened.find_elements("tag name", "h2")]
    assert headings[:3] == ["The answer", "By class", "The winner"]
    pictures = opened.find_elements("tag name", "svg")
    assert len(pictures) >= 4
    for seen in (*pictures, *opened.find_elements("tag name", "table")):
        assert seen.is_displayed()
        assert seen.size["width"] > 100 and seen.size["height"] > 30


def test_a_link_leads_to_its_section(opened: Any) -> None:
    opened.find_element("link text", "What it cost").click()
    top = opened.execute_script(
        "return [...document.querySelectorAll('h2')].find(h => h.textContent === 'What it cost')"
        ".getBoundingClientRect().top"
    )
    assert -1 < top < 900  # the browser scrolls by whole pixels


@pytest.fixture
def sized(opened: Any) -> Iterator[Callable[[int], None]]:
    """Gives the page so many pixels of width, also fewer than a window can have."""

    def size(width: int) -> None:
        screen = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
        opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)

    yield size
    opened.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_wider_than_the_window(
    opened: Any, sized: Callable[[int], None], width: int
) -> None:
    sized(width)
    assert opened.execute_script("return window.innerWidth") == width
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width


PAPER = 718
"""Width of a sheet without its margins, in pixels: A4's, the narrower of the two."""


@pytest.mark.parametrize("media", ["screen", "print"])
def test_a_sentence_in_a_table_breaks_its_lines(
    opened: Any, sized: Callable[[int], None], media: str
) -> None:
    sized(PAPER)
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media})
    cell = opened.find_element("xpath", "//td[contains(., 'much is said')]").rect
    assert 200 < cell["x"] + cell["width"] <= PAPER
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_a_table_shows_on_a_phone_that_it_goes_on(
    opened: Any, sized: Callable[[int], None]
) -> None:
    sized(390)
    wide = [
        table
        for table in opened.find_elements("css selector", ".scroll")
        if table.get_property("scrollWidth") > table.get_property("clientWidth")
    ]
    assert wide
    for table in wide:
        assert "radial-gradient" in table.value_of_css_property("background-image")
        assert table.value_of_css_property("overflow-x") == "auto"


@pytest.mark.parametrize("width", [1280, 390])
def test_a_picture_is_neither_blown_up_nor_too_small_to_read(
    opened: Any, sized: Callable[[int], None], width: int
) -> None:
    """Wide ones scroll on a phone, small ones fit."""
    sized(width)
    shares = []
    for picture in opened.find_elements("css selector", "figure svg"):
        natural = float(picture.get_dom_attribute("width").removesuffix("pt")) * 96 / 72  # px
        shares.append(picture.size["width"] / natural)
        if natural < 600:
            assert picture.size["width"] <= width
    assert len(shares) > 4 and min(shares) > 0.7 and max(shares) < 1.2


def test_it_is_dark_if_the_system_is(opened: Any) -> None:
    def lightness(name: str, of: str) -> float:
        colour = opened.find_element("css selector", of).value_of_css_property(name)
        red, green, blue = map(int, re.findall(r"\d+", colour)[:3])
        return (red + green + blue) / 3 / 255

    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        page, text = lightness("background-color", "body"), lightness("color", "body")
        assert abs(page - text) > 0.7 and (page > text) == (scheme == "light")
        for of in ("nav a", ".note", "td"):
            assert abs(page - lightness("color", of)) > 0.3, (scheme, of)
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_it_prints(opened: Any) -> None:
    pdf = opened.print_page()  # base64
    assert len(pdf) > 20_000
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not opened.find_element("tag name", "nav").is_displayed()
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
