"""Take the pictures of report and dashboard in docs/, of a finished run of the digits preset:

    PYTHONHASHSEED=1 python -m tests.support.screenshots runs/digits

The hash seed settles in which order the dashboard puts its figures.
"""

from __future__ import annotations

import io
import sys
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from hnas.studies.dashboard.annotate import annotate, artifacts
from hnas.studies.dashboard.server import dashboard
from hnas.studies.report.gather import gather
from hnas.studies.report.html import as_html
from hnas.studies.run.folder import Run, open_run
from tests.support.browser import chromium, seen

DOCS = Path(__file__).parents[2] / "docs"
SIZE, PAGE = (1400, 1250), (1060, 1793)


def shoot(browser: Any, name: str) -> None:
    time.sleep(2)  # until what moves has come to rest
    picture = Image.open(io.BytesIO(browser.get_screenshot_as_png())).convert("RGB")
    path = DOCS / f"{name}.png"
    picture.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size:,} bytes")


def shoot_report(browser: Any, run: Run) -> None:
    with TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(as_html(gather(run)), "utf-8")
        browser.set_window_size(*PAGE)
        browser.get(page.as_uri())
        shoot(browser, "report")


def main(folder: str) -> None:
    run = open_run(Path(folder))
    annotate(run)
    with dashboard(run.storage, artifacts=artifacts(run), port=0) as server, chromium() as browser:
        shoot_report(browser, run)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/dashboard/studies"
        browser.set_window_size(*SIZE)
        browser.get(f"{address}/2")
        seen(browser, "#graph-pareto-front .scatterlayer")
        shoot(browser, "dashboard")
        browser.get(f"{address}/1")
        for title in ("Accuracy against", "Hypervolume", "Global groups"):
            seen(browser, ".js-plotly-plot .gtitle", title)
        browser.execute_script(
            "document.querySelector('[id^=\"user-defined-plot:\"]').scrollIntoView();"
            "window.scrollBy(0, -90)"  # under the bar that stays at the top
        )
        shoot(browser, "dashboard-figures")
        browser.get(f"{address}/2/trials?best=true")
        seen(browser, "img[alt='architecture.svg']")
        shoot(browser, "dashboard-elite")
        server.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
