"""The dashboard answers its own pages alone, and shows what studies hold without running it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import optuna
import pytest

from hnas.studies.dashboard.guard import guarded, refusal
from hnas.studies.dashboard.server import dashboard
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.study import open_study
from tests.support.browser import chromium

SCRIPT = "<body><script>document.title = 'RAN'</script><svg onload=\"document.title='RAN'\"/>"


@dataclass
class Served:
    """A dashboard that answers, on two studies."""

    port: int
    url: str
    files: Path


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    here = tmp_path_factory.mktemp("served")
    url, files = f"sqlite:///{here / 'study.db'}", here / "artifacts"
    storage = open_storage(url, create=True)
    for name in ("one", "two"):
        open_study(storage, name, create=True).ask()
    files.mkdir()
    with dashboard(url, artifacts=files, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield Served(server.server_port, url, files)
        finally:
            server.shutdown()
            thread.join()


def asked(port: int, method: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = None if method == "GET" else b"{}"
    connection.request(method, path, body, {"Content-Type": "application/json", **named})
    answer = connection.getresponse()
    found = answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    connection.close()
    return found


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:{port}", "LOCALHOST:9", "[::1]:{port}"])
def test_it_answers_to_names_of_this_machine(served: Served, host: str) -> None:
    """Also through a tunnel, whose port is another."""
    here = host.format(port=served.port)
    assert asked(served.port, "GET", "/api/studies", Host=here)[0] == 200
    status, _, body = asked(
        served.port, "PUT", "/api/studies/1/note", Host=here, Origin=f"http://{here}"
    )
    assert status == 400 and b"reason" in body, "the dashboard answers: there is no note in that"


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example:{port}", ""),
        *("evil.example@127.0.0.1", "127.0.0.1@evil.example", "192.168.1.2:{port}", "0.0.0.0"),
    ],
)
def test_a_name_of_someone_elses_is_refused(served: Served, host: str) -> None:
    there = host.format(port=served.port)
    for method, path in (("GET", "/api/studies"), ("GET", "/"), ("DELETE", "/api/studies/1")):
        status, _, body = asked(served.port, method, path, Host=there)
        assert status == 403 and repr(there).encode() in body
    assert len(optuna.get_all_study_names(served.url)) == 2


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://localhost:3000", "null", "https://127.0.0.1:{port}", ""],
)
def test_a_page_of_another_site_is_refused(served: Served, origin: str) -> None:
    headers = {"Host": f"127.0.0.1:{served.port}", "Origin": origin.format(port=served.port)}
    for method, path in (
        ("DELETE", "/api/studies/1"),
        ("POST", "/api/studies/1/rename"),
        ("PUT", "/api/studies/1/note"),
        ("GET", "/api/studies"),
    ):
        assert asked(served.port, method, path, **headers)[0] == 403
    assert len(optuna.get_all_study_names(served.url)) == 2


def plant(served: Served, kind: str, content: str, trial: int | None = 1) -> str:
    """An artifact as a database of someone else's may name it; its address."""
    name = "12345678-1234-1234-1234-123456789abc"
    (served.files / name).write_text(content)
    about = {"artifact_id": name, "filename": "a.svg", "mimetype": kind, "encoding": None}
    storage = optuna.storages.RDBStorage(served.url)
    of = "artifacts:" if trial is None else f"dashboard:artifacts:{trial}:"
    storage.set_study_system_attr(1, f"{of}{name}", json.dumps(about))
    return f"/artifacts/1/{name}" if trial is None else f"/artifacts/1/{trial}/{name}"


@pytest.mark.parametrize("trial", [1, None])
@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("text/html", "text/plain; charset=utf-8"),
        ("Text/HTML; charset=utf-16", "text/plain; charset=utf-8"),
        ("text/javascript", "text/plain; charset=utf-8"),
        ("application/xhtml+xml", "application/octet-stream"),
        ("", "application/octet-stream"),
        ("image/svg+xml", "image/svg+xml"),
        ("image/png", "image/png"),
    ],
)
def test_an_artifact_is_no_page(served: Served, kind: str, shown: str, trial: int | None) -> None:
    status, headers, body = asked(served.port, "GET", plant(served, kind, SCRIPT, trial))
    assert (status, body) == (200, SCRIPT.encode())
    assert headers["content-type"] == shown
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"].endswith("sandbox")
    assert "access-control-allow-origin" not in headers
    assert ("content-disposition" in headers) == (shown == "application/octet-stream")


def test_every_way_to_an_artifact_is_guarded() -> None:
    for path in ("/artifacts/1/2", "//artifacts/1/2"):
        assert refusal({"HTTP_HOST": "localhost", "PATH_INFO": path}) is None
    headers = dict(guarded("/dashboard", [("content-type", "text/html")]))
    assert headers["content-type"] == "text/html"
    assert "script-src 'self'" in headers["Content-Security-Policy"]


def titled(browser: Any, address: str) -> str:
    browser.get(address)
    return str(browser.title)


def test_in_a_browser_no_script_of_a_study_runs(served: Served) -> None:
    """As a page of its own, as a picture, and in a note."""
    svg = SCRIPT.replace("<body>", "<svg xmlns='http://www.w3.org/2000/svg'>") + "</svg>"
    address = f"http://127.0.0.1:{served.port}"
    frame = SCRIPT.replace("document", "parent.document").replace('"', "&quot;")
    note = f'# Note\n\n<iframe srcdoc="{frame}"></iframe><img src=x onerror="{frame}">'
    with chromium() as browser:
        for kind, content in (("image/svg+xml", svg), ("text/html", SCRIPT)):
            assert titled(browser, address + plant(served, kind, content)) != "RAN"
        body = json.dumps({"body": note, "version": 1})
        connection = HTTPConnection("127.0.0.1", served.port, timeout=20)
        connection.request("PUT", "/api/studies/1/note", body, {"Content-Type": "application/json"})
        assert connection.getresponse().status == 204
        assert titled(browser, f"{address}/dashboard/studies/1/note") != "RAN"
        browser.implicitly_wait(20)
        assert browser.find_element("css selector", "h1")
        assert browser.title != "RAN"
