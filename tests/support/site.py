"""The documentation as a site: `make site` writes it to build/site, which opens from disk.

The pages are read where they are, so that their links also lead somewhere in the repository. What
they link to is laid beside copies of them, in build/pages, and Zensical makes a
site of these.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "build/pages"
"""As mkdocs.yml names it."""
LINK = re.compile(r"\[([^\]]*)\]\((?![a-z]+:|#)([^)#\s]+)((?:#[^)]*)?)\)")
"""[text](path#part), not of other sites."""


def lay_out(root: Path, to: Path) -> None:
    """Copies README, the other pages and what they link to from `root` to an empty folder `to`,
    each where it was. Notebooks become pages; a link to a folder becomes its text."""
    found = [*sorted(root.glob("*.md")), *sorted((root / "docs").glob("*.md"))]
    for page in found:
        text = page.read_text("utf-8")
        for path in {page.parent / match[2] for match in LINK.finditer(text)}:
            _copy(path, root, to)
        made = to / page.relative_to(root)
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text(LINK.sub(partial(_linked, folder=page.parent), text), "utf-8")


def _copy(path: Path, root: Path, to: Path) -> None:
    made = to / path.resolve().relative_to(root.resolve())
    made.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".ipynb":
        made.with_suffix(".md").write_text(as_page(json.loads(path.read_text("utf-8"))), "utf-8")
    elif path.suffix != ".md" and path.is_file():
        shutil.copy(path, made)


def _linked(match: re.Match[str], *, folder: Path) -> str:
    if (folder / match[2]).is_dir():
        return match[1]
    return f"[{match[1]}]({re.sub('ipynb$', 'md', match[2])}{match[3]})"


def as_page(notebook: dict[str, Any]) -> str:
    """A notebook as Markdown, with what its cells gave when it was made."""
    parts = []
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        parts.append(source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```")
        parts += [_shown(output) for output in cell.get("outputs", [])]
    return "\n\n".join(parts) + "\n"


def _shown(output: dict[str, Any]) -> str:
    data = output.get("data", {"text/plain": output.get("text", "")})
    for kind in ("text/html", "image/svg+xml"):
        if kind in data:  # without empty lines, which would end a block of HTML
            lines = "".join(data[kind]).splitlines()
            return "<div>" + "\n".join(line for line in lines if line.strip()) + "</div>"
    if "image/png" in data:
        picture = "".join(data["image/png"]).replace("\n", "")
        return f'<img alt="a figure of the cell above" src="data:image/png;base64,{picture}">'
    return f"```text\n{''.join(data['text/plain']).rstrip()}\n```"


def main() -> None:
    shutil.rmtree(PAGES, ignore_errors=True)
    lay_out(ROOT, PAGES)
    # Strict: a link or an anchor that leads nowhere is an error.
    sys.exit(subprocess.call([sys.executable, "-m", "zensical", "build", "--strict"], cwd=ROOT))


if __name__ == "__main__":
    main()
