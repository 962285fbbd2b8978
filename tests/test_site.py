"""The documentation as a site, and the README as a package index shows it."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from tests.support.site import LINK, as_page, lay_out


@pytest.fixture(scope="module")
def pages(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make site` makes a site of, laid out where mkdocs.yml expects it."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "mkdocs.yml").write_bytes((root / "mkdocs.yml").read_bytes())
    lay_out(root, folder / "build/pages")
    return folder / "build/pages"


def test_links_of_the_pages_lead_to_files(pages: Path) -> None:
    found = sorted(pages.glob("**/*.md"))
    assert {"README.md", "docs/index.md", "docs/example.md"} < {
        str(page.relative_to(pages)) for page in found
    }
    links = [(page, match[2]) for page in found for match in LINK.finditer(page.read_text("utf-8"))]
    assert len(links) > 100
    assert [link for page, link in links if not (page.parent / link).is_file()] == []


def leaves(nav: Any) -> Iterator[str]:
    """The pages of a menu."""
    if isinstance(nav, str):
        yield nav
    else:
        for one in nav.values() if isinstance(nav, dict) else nav:
            yield from leaves(one)


def test_the_menu_has_every_page(pages: Path) -> None:
    yaml = pytest.importorskip("yaml")
    menu = yaml.safe_load((pages.parents[1] / "mkdocs.yml").read_text("utf-8"))["nav"]
    found = [str(page.relative_to(pages)) for page in pages.glob("**/*.md")]
    assert sorted(leaves(menu)) == sorted(found)


@pytest.mark.skipif(find_spec("zensical") is None, reason="needs the extra hnas[docs]")
def test_the_site_is_made_and_its_anchors_are_there(pages: Path) -> None:
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    home = pages.parents[1]
    ran = subprocess.run(command, cwd=home, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    made = (home / "build/site/docs/index.html").read_text("utf-8")
    assert 'href="tutorial.html"' in made
    assert not re.search(r'<(script|link|img)[^>]+"https?://', made)  # it opens without a network


def test_a_notebook_becomes_a_page_with_what_its_cells_gave() -> None:
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "text"]},
        {
            "cell_type": "code",
            "source": ["1 + 1"],
            "outputs": [
                {"output_type": "stream", "text": ["hello\n"]},
                {"output_type": "execute_result", "data": {"text/plain": ["2"]}},
                {"output_type": "display_data", "data": {"text/plain": "x", "image/png": "QUJD\n"}},
                {
                    "output_type": "display_data",
                    "data": {"text/plain": "x", "text/html": "<b>\n\n1</b>"},
                },
            ],
        },
    ]
    page = as_page({"cells": cells})
    assert page.startswith(
        "# Title\ntext\n\n```python\n1 + 1\n```\n\n```text\nhello\n```\n\n```text\n2"
    )
    assert 'src="data:image/png;base64,QUJD"' in page and "<div><b>\n1</b></div>" in page


README = "![a](docs/a.svg)\n\n[b](docs/b.md#c) [d](https://e.f) [g][]"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (None, "b [d](https://e.f) [g][]"),
        (
            "https://x.y/z",
            "![a](https://x.y/z/raw/HEAD/docs/a.svg)\n\n"
            "[b](https://x.y/z/blob/HEAD/docs/b.md#c) [d](https://e.f) [g][]",
        ),
    ],
)
def test_links_of_the_readme_lead_somewhere_on_a_package_index(
    root: Path, source: str | None, shown: str
) -> None:
    for_an_index = runpy.run_path(str(root / "setup.py"))["for_an_index"]
    assert for_an_index(README, source) == shown
    whole = for_an_index((root / "README.md").read_text("utf-8"), source)
    links = re.findall(r"\]\(([^)]*)\)", whole)
    assert links and all(link.startswith("https://") for link in links)
