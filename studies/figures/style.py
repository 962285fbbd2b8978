"""The style of all figures: matplotlib without global state, colours that the colour-blind can tell
apart, and the same bytes for the same numbers."""

from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hnas.persist.ours import MARK, write_ours

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's, the most contrasting first. Never the only mark: lines differ in dashes, points
in shape."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

_STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "font.size": 10,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: searchable, in the reader's own font
    "svg.hashsalt": "hnas",  # ids by content, not by chance
}


def panels(
    rows: int = 1, columns: int = 1, *, width: float = 6.4, height: float = 4.0
) -> tuple[Figure, list[Axes]]:
    """A figure of this size in inches and its axes, row by row; not registered with pyplot."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False)
    return figure, list(axes.flat)


def svg(figure: Figure) -> str:
    """An <svg> element for a page of HTML."""
    text = _bytes(figure, "svg").decode("utf-8")
    return text[text.index("<svg") :]


def save(figure: Figure, path: Path, *, force: bool | None = None) -> None:
    """A file in the format of its suffix (.svg, .png, .pdf), whole or not at all.

    Raises InputError if it cannot be written, or if a file is there that is no picture of hnas and
    `force` is not given.
    """
    data = _bytes(figure, path.suffix.lstrip(".") or "svg")
    write_ours({path: data}, to=path, force=force)


def _bytes(figure: Figure, kind: str) -> bytes:
    file = BytesIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(file, format=kind, dpi=150, metadata=_METADATA.get(kind))
    return file.getvalue()


_METADATA = {
    "svg": {"Date": None, "Creator": MARK.decode()},
    "pdf": {"CreationDate": None, "Creator": MARK.decode()},
    "png": {"Software": MARK.decode()},
}
