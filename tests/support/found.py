"""Draw docs/found.svg, the network of a finished run above the fronts of its search:

python -m tests.support.found runs/digits
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from hnas.persist.atomic import write_atomic
from hnas.studies.figures.network import network
from hnas.studies.figures.style import svg
from hnas.studies.report.gather import gather
from hnas.studies.report.pictures import fronts
from hnas.studies.run.folder import open_run

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="{0}pt" height="{1}pt" viewBox="0 0 {0} {1}">'


def stacked(drawings: list[str]) -> str:
    """One drawing of several, one under the other on white."""
    sizes = [re.search(r'viewBox="0 0 (\S+) (\S+)"', drawing) for drawing in drawings]
    widths, heights = zip(*((float(s[1]), float(s[2])) for s in sizes if s), strict=True)
    parts = [
        SVG.format(max(widths), sum(heights)),
        '<rect width="100%" height="100%" fill="#fff"/>',
    ]
    for i, drawing in enumerate(drawings):
        drawing = re.sub(r'(width|height)="([\d.]+)pt"', r'\1="\2"', drawing, count=2)
        parts.append(drawing.replace("<svg ", f'<svg y="{sum(heights[:i])}" ', 1))
    return "\n".join([*parts, "</svg>\n"])


def main(folder: str) -> None:
    report = gather(open_run(Path(folder)))
    assert report.picture is not None
    path = Path(__file__).parents[2] / "docs/found.svg"
    write_atomic(path, stacked([svg(network(report.picture)), svg(fronts(report))]).encode())
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1])
