"""What the documents point at is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hnas import __version__
from hnas.cli.main import COMMANDS

DOCUMENTS = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md"),
    *(
        "docs/api.md",
        "docs/export.md",
        "docs/imagenet.md",
        "docs/latency.md",
        "docs/tutorial.md",
        "docs/paper.md",
        "docs/performance.md",
        "docs/ranking.md",
        "docs/reliability.md",
        "docs/scale-out.md",
    ),
)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_to_files(root: Path, name: str) -> None:
    document = root / name
    links = re.findall(r"\]\(([^)#]+)", document.read_text("utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_exist(root: Path, name: str) -> None:
    text = (root / name).read_text("utf-8")
    code = "\n".join(re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL))
    shell = re.findall(r"(?:^|[`$ /])(hnas|make) ([a-z]+)", code, re.MULTILINE)
    targets = set(re.findall(r"^([a-z]+):", (root / "Makefile").read_text("utf-8"), re.MULTILINE))
    known = {"hnas": set(COMMANDS), "make": targets}
    assert [(tool, word) for tool, word in shell if word not in known[tool]] == []


def test_the_readme_names_every_command(root: Path) -> None:
    text = (root / "README.md").read_text("utf-8")
    assert {name for name in COMMANDS if f"`hnas {name}" not in text} == set()


def test_files_that_contributing_names_are_there(root: Path) -> None:
    """By their path, or as the table does by their name within `tests`."""
    text = (root / "CONTRIBUTING.md").read_text("utf-8")
    named = re.findall(r"`([\w./]+\.(?:py|md|toml|txt))`", text)
    missing = [n for n in named if not (root / n).exists() and not list(root.glob(f"tests/**/{n}"))]
    assert len(named) > 20 and missing == []


def test_the_citation_is_of_this_version(root: Path) -> None:
    text = (root / "CITATION.cff").read_text("utf-8")
    assert f"\nversion: {__version__}\n" in text
    assert "https://arxiv.org/abs/2107.02960" in text
