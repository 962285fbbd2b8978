"""`hnas dashboard`: what is served, to whom, and how it looks in a real browser."""

from __future__ import annotations

import json
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.studies.dashboard.annotate import artifacts
from hnas.studies.dashboard.server import dashboard
from hnas.studies.run.folder import Run, open_run
from hnas.studies.run.result import read_result
from hnas.studies.run.studies import read_stages
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.pareto import front
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from tests.support.browser import chromium, seen

TRAINING = ("training-accuracy", "training-loss")


def invoke(*args: object) -> Result:
    return CliRunner().invoke(hnas, ["dashboard", *map(str, args)], catch_exceptions=False)


@pytest.fixture
def copy(tmp_path: Path, finished: tuple[Path, Result]) -> Path:
    """A finished run to change; its name is part of its studies' names."""
    return Path(shutil.copytree(finished[0], tmp_path / finished[0].name))


@contextmanager
def served(run: Run) -> Iterator[str]:
    """The address of a dashboard that answers."""
    with dashboard(run.storage, artifacts=artifacts(run), port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def fetched(address: str) -> Any:
    with urlopen(address, timeout=20) as answer:
        return json.load(answer)


def test_it_shows_both_studies_and_links_them(finished: tuple[Path, Result]) -> None:
    """The search has annotated them."""
    with served(open_run(finished[0])) as address:
        studies = fetched(f"{address}/api/studies")["study_summaries"]
        ids = {study["study_name"]: study["study_id"] for study in studies}
        assert set(ids) == {"finished-stage1", "finished-stage2"}
        for stage, other, trials in ((1, 2, 8), (2, 1, 6)):
            study = fetched(f"{address}/api/studies/{ids[f'finished-stage{stage}']}")
            assert len(study["trials"]) == trials
            assert study["objective_names"] == ["held-out accuracy", "FLOPs (MACs)"]
            name = f"finished-stage{other}"
            link = f"[stage {other}, `{name}`](/dashboard/studies/{ids[name]})"
            assert link in study["note"]["body"]
        with urlopen(f"{address}/dashboard/studies/{ids[name]}", timeout=20) as page:
            assert page.status == 200


def test_figures_notes_and_drawings_are_served(finished: tuple[Path, Result]) -> None:
    run = open_run(finished[0])
    with served(run) as address:
        study = fetched(f"{address}/api/studies/2")
        figures = {
            one["id"]: json.loads(one["graph_object"]) for one in study["plotly_graph_objects"]
        }
        assert set(figures) == {"fronts", "hypervolume", *TRAINING}
        shown = {trial["number"]: trial for trial in study["trials"]}
        elites = {
            record.number
            for record in front(records(open_study(open_storage(run.storage), study["name"])))
        }
        winner = read_result(run).winner.arch
        won = {r.number for r in read_stages(run)[1].records if r.arch == winner}
        noted = {n for n, trial in shown.items() if trial["note"]["body"]}
        assert noted == elites | won and won
        for number in elites:
            (drawing,) = shown[number]["artifacts"]
            url = f"{address}/artifacts/2/{shown[number]['trial_id']}/{drawing['artifact_id']}"
            with urlopen(url, timeout=20) as picture:
                assert picture.headers["Content-Type"] == "image/svg+xml"
                assert picture.read().startswith(b"<svg")


def test_it_brings_up_a_run_of_before(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one whose folder was moved without its drawings."""
    monkeypatch.setattr("socketserver.BaseServer.serve_forever", lambda server: None)
    shutil.rmtree(artifacts(open_run(copy)))
    result = invoke("--run", copy, "--port", 0)
    assert result.exit_code == 0 and result.stderr == ""
    assert list(artifacts(open_run(copy)).iterdir())


def test_what_cannot_be_brought_up_is_told_and_the_rest_shown(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socketserver.BaseServer.serve_forever", lambda server: None)
    (copy / "result.json").write_text("torn")
    result = invoke("--run", copy, "--port", 0)
    assert result.exit_code == 0
    assert result.stderr.startswith("Figures and notes are not updated: ")
    assert "result.json cannot be read as JSON" in result.stderr
    assert result.stdout.startswith("http://127.0.0.1:")


def test_a_search_does_not_fail_for_it(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(run: Run) -> None:
        raise ZeroDivisionError("of a figure")

    monkeypatch.setattr("hnas.studies.dashboard.annotate.annotate", fails)
    args = ("search", "--plan", tiny, "--run", tmp_path / "run", "--stage", 1, "--device", "cpu")
    result = CliRunner().invoke(hnas, [*map(str, args)], catch_exceptions=False)
    assert result.exit_code == 0
    told = " ".join(result.output.split())
    assert "figures and notes for the dashboard could not be written: of a figure" in told


def test_the_address_is_printed_and_ctrl_c_ends_it(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(server: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("socketserver.BaseServer.serve_forever", interrupted)
    result = invoke("--run", copy, "--port", 0)
    assert result.exit_code == 130
    assert result.stdout.startswith("http://127.0.0.1:")
    assert result.stdout.endswith("/dashboard  (Ctrl-C ends it)\n")


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.2", "example.org", "::"])
def test_it_is_for_this_machine_alone(copy: Path, host: str) -> None:
    result = invoke("--run", copy, "--host", host)
    assert result.exit_code == 2
    assert result.stderr.startswith(
        f"Error: --host must be 127.0.0.1 or localhost, got {host!r}: the dashboard asks for no "
        "password, "
    )


def test_a_port_that_is_taken(copy: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = invoke("--run", copy, "--port", port)
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: --port {port} cannot be used on 127.0.0.1: Address already in use. "
        "Choose another\n"
    )


def test_a_storage_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'none.db'}"
    result = invoke("--storage", url, "--port", 0)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: there is no study storage {tmp_path / 'none.db'}: ")


def test_a_run_that_has_not_begun_its_studies(tmp_path: Path, tiny: Path) -> None:
    shutil.copy(tiny, tmp_path / "plan.toml")
    result = invoke("--run", tmp_path, "--port", 0)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: there is no study storage")
    assert [path.name for path in tmp_path.iterdir()] == ["plan.toml"]


# In a browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as driver:
        driver.set_window_size(1400, 1250)
        yield driver


@pytest.fixture(scope="module")
def address(finished: tuple[Path, Result]) -> Iterator[str]:
    with served(open_run(finished[0])) as address:
        yield address


def complaints(browser: Any) -> list[str]:
    """Of the console, since this was asked last."""
    return [entry["message"] for entry in browser.get_log("browser")]


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_scrolls_sideways(browser: Any, address: str, width: int) -> None:
    """The attributes of a study and of a trial break their lines: the JSON of an architecture,
    the space. On a phone cards and plots stand below each other."""
    screen = {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    for page, shown, text in (
        ("", "a", "finished-stage2"),
        ("studies/2", "p, td, div", '"blocks"'),
        ("studies/2/trials?numbers=0", "main p", '"blocks"'),
        ("studies/2/note", "h2", "Stage 2"),
    ):
        browser.get(f"{address}/dashboard/{page}".removesuffix("/"))
        assert seen(browser, shown, text)
        wide, window = browser.execute_script(
            "return [document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert wide <= window == width, page
        plots = browser.execute_script(
            "return [...document.querySelectorAll('.js-plotly-plot')].map(p => p.clientWidth)"
        )
        assert all(plot > 200 for plot in plots), (page, plots)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_the_studies_are_listed(browser: Any, address: str) -> None:
    browser.get(f"{address}/dashboard")
    for name in ("finished-stage1", "finished-stage2"):
        assert seen(browser, "a", name)
    assert complaints(browser) == []


@pytest.mark.parametrize("study", [1, 2])
def test_the_front_and_our_figures_are_drawn(browser: Any, address: str, study: int) -> None:
    browser.get(f"{address}/dashboard/studies/{study}")
    assert seen(browser, "h6", "Pareto Front") and seen(browser, "h6", "Study User Attributes")
    titles = ["Accuracy against FLOPs, all stages", f"Hypervolume of stage {study}"]
    if study == 1:
        titles.append("Global groups of each block, stage 1")
    for title in titles:
        assert seen(browser, ".js-plotly-plot .gtitle", title)
    points = "#graph-pareto-front .scatterlayer .points path"
    assert len(browser.find_elements("css selector", points)) == {1: 8, 2: 6}[study], "all trials"
    # The objectives' names, on the axes' menus.
    assert seen(browser, "body", "held-out accuracy") and seen(browser, "body", "FLOPs (MACs)")
    ours = browser.execute_script(
        "return [...document.querySelectorAll('[id^=\"user-defined-plot:\"]')].map(plot => "
        "[plot.id.split(':')[1], plot.data.length, plot.querySelectorAll('.trace, .hm').length])"
    )
    assert {name for name, _, _ in ours} == {"fronts", "hypervolume", *TRAINING} | (
        {"global-groups"} if study == 1 else set()
    )
    assert all(drawn >= data >= 1 for _, data, drawn in ours)
    assert complaints(browser) == []


def test_an_elite_has_its_note_and_its_drawing(browser: Any, address: str) -> None:
    study = fetched(f"{address}/api/studies/2")
    elite = next(trial for trial in study["trials"] if trial["note"]["body"])
    browser.get(f"{address}/dashboard/studies/2/trials?numbers={elite['number']}")
    assert seen(browser, "h2", f"rial {elite['number']}, on the front of stage 2")
    assert seen(browser, "table th", "of the MACs")
    assert seen(browser, "p, span, div", "architecture.svg")
    assert seen(browser, "img[alt='architecture.svg']")
    pictures = "return [...document.querySelectorAll('img')].map(i => [i.src, i.naturalWidth])"
    until = time.monotonic() + 20
    while not all(width > 100 for _, width in browser.execute_script(pictures)):
        assert time.monotonic() < until, "they are loaded and are pictures"
        time.sleep(0.1)
    sources = [source for source, _ in browser.execute_script(pictures)]
    assert len(sources) == 2, "the one in the note, and the artifact's"
    assert all(elite["artifacts"][0]["artifact_id"] in source for source in sources)
    assert complaints(browser) == []


def test_a_note_leads_to_the_other_stage(browser: Any, address: str) -> None:
    browser.get(f"{address}/dashboard/studies/1/note")
    assert seen(browser, "h2", "Stage 1 of the hierarchical search finished")
    seen(browser, "a", "stage 2, finished-stage2").click()
    assert seen(browser, "h6", "Pareto Front")
    assert browser.current_url == f"{address}/dashboard/studies/2"
    assert complaints(browser) == []
