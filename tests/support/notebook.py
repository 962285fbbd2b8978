"""Run docs/example.ipynb from top to bottom and keep what its cells give: `make notebook`.

    python -m tests.support.notebook [FOLDER]

It runs in FOLDER, or in a new one, where it searches the digits for some minutes. In a FOLDER that
has a finished runs/digits it only reads.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

PATH = Path(__file__).parents[2] / "docs/example.ipynb"
MADE_OF = "made_of"
"""In the notebook's metadata: the `fingerprint` of the cells that gave its outputs."""


def fingerprint(book: dict[str, Any]) -> str:
    """Of the code of a notebook: who changes it runs it again."""
    code = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    return hashlib.sha256(json.dumps(code).encode()).hexdigest()[:16]


def run(folder: Path) -> None:
    import nbformat
    from nbclient import NotebookClient

    book = nbformat.read(PATH, as_version=4)
    NotebookClient(book, timeout=None, resources={"metadata": {"path": str(folder)}}).execute()
    for cell in book.cells:
        cell.metadata.clear()  # when each cell began and ended
        if cell.cell_type == "code":  # what libraries warn of is of this machine
            cell.outputs = [one for one in cell.outputs if one.get("name") != "stderr"]
    book.metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
        MADE_OF: fingerprint(book),
    }
    nbformat.write(book, PATH)
    print(f"{PATH}: {PATH.stat().st_size:,} bytes")


if __name__ == "__main__":
    if sys.argv[1:]:
        run(Path(sys.argv[1]))
    else:
        with TemporaryDirectory() as temporary:
            run(Path(temporary))
