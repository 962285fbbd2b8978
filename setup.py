"""What a package index shows: the README, without links that would lead nowhere there. All else is
in pyproject.toml."""

import re
import tomllib
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
LINK = r"\[([^\]]*)\]\((?![a-z]+:)([^)]*)\)"
"""[text](path), not of other sites."""


def for_an_index(readme: str, source: str | None) -> str:
    """Links to files lead to `source`, the repository's address; without one they become their
    text, and pictures go."""
    if source is None:
        return re.sub(LINK, r"\1", re.sub(rf"!{LINK}\n*", "", readme))
    readme = re.sub(rf"!{LINK}", rf"![\1]({source}/raw/HEAD/\2)", readme)
    return re.sub(LINK, rf"[\1]({source}/blob/HEAD/\2)", readme)


if __name__ == "__main__":  # as whoever builds runs it
    about = tomllib.loads((HERE / "pyproject.toml").read_text("utf-8"))["project"]
    readme = (HERE / "README.md").read_text("utf-8")
    setup(
        long_description=for_an_index(readme, about["urls"].get("Source")),
        long_description_content_type="text/markdown",
    )
