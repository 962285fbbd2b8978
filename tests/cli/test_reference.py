"""docs/cli.md is what the commands say."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from hnas.cli.main import COMMANDS, hnas
from tests.support.reference import reference


def test_the_page_is_up_to_date(root: Path) -> None:
    written = (root / "docs/cli.md").read_text("utf-8")
    assert written == reference(), "docs/cli.md is out of date, regenerate it: make reference"


def test_it_has_the_help_of_every_command() -> None:
    page = reference()
    assert [line[8:] for line in page.splitlines() if line.startswith("## hnas ")] == list(COMMANDS)
    for name in COMMANDS:
        said = CliRunner().invoke(hnas, [name, "--help"], prog_name="hnas", terminal_width=80)
        assert said.stdout.strip() in page
