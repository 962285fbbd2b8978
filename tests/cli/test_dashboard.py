"""`hnas dashboard`: what is served, to whom, and the links between the stages."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from click.testing import CliRunner, Result

from cli.main import hnas
from hnas.errors import StorageError
from studies.dashboard import dashboard, link_stages
from studies.run import open_run
from studies.storage import open_storage


def invoke(*args: object) -> Result:
    return CliRunner().invoke(hnas, ["dashboard", *map(str, args)], catch_exceptions=False)


@pytest.fixture
def copy(tmp_path: Path, finished: tuple[Path, Result]) -> Path:
    """A finished run to change; its name is part of its studies' names."""
    return Path(shutil.copytree(finished[0], tmp_path / finished[0].name))


@contextmanager
def served(url: str) -> Iterator[str]:
    """The address of a dashboard that answers."""
    with dashboard(url, port=0) as server:
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


def test_it_shows_both_studies_and_links_them(copy: Path) -> None:
    run = open_run(copy)
    link_stages(run)
    with served(run.storage) as address:
        studies = fetched(f"{address}/api/studies")["study_summaries"]
        ids = {study["study_name"]: study["study_id"] for study in studies}
        assert set(ids) == {"finished-stage1", "finished-stage2"}
        for stage, other, trials in ((1, 2, 8), (2, 1, 6)):
            study = fetched(f"{address}/api/studies/{ids[f'finished-stage{stage}']}")
            assert len(study["trials"]) == trials
            name = f"finished-stage{other}"
            link = f"[stage {other}, `{name}`](/dashboard/studies/{ids[name]})"
            assert link in study["note"]["body"]
        with urlopen(f"{address}/dashboard/studies/{ids[name]}", timeout=20) as page:
            assert page.status == 200


def test_a_note_is_put_once(copy: Path) -> None:
    run = open_run(copy)
    storage = open_storage(run.storage)
    number = storage.get_study_id_from_name(run.study_name(1))
    link_stages(run)
    noted = storage.get_study_system_attrs(number)
    link_stages(run)
    assert storage.get_study_system_attrs(number) == noted
    assert noted["dashboard:note_ver"] == 1


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
        f"Error: --host must be this machine's own, 127.0.0.1 or localhost, got {host!r}: the "
        "dashboard asks for no password, "
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
    with pytest.raises(StorageError, match="there is no study storage"):
        link_stages(open_run(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["plan.toml"]
