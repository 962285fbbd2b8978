"""`hnas search --workers` and `hnas worker`: real processes, networks and PostgreSQL."""

from __future__ import annotations

import dataclasses
import json
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.studies.run.folder import shared_run
from hnas.studies.trials.database import close_storage, open_storage
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import open_study
from hnas.studies.trials.trial import records
from tests.support.forked import Process
from tests.support.postgres import new_database, served


def invoke(*args: object) -> Result:
    return CliRunner().invoke(hnas, [*map(str, args)], catch_exceptions=False)


def start(*args: object) -> Process:
    return Process(["-m", "hnas.cli.main", *args], stderr=subprocess.STDOUT)


def trials(folder: Path, url: str) -> list[list[Record]]:
    run = shared_run(folder)
    storage = open_storage(url)
    names = [run.study_name(stage) for stage in (1, 2)]
    found = [records(open_study(storage, name)) for name in names]
    close_storage(storage)
    return [[dataclasses.replace(record, seconds=0.0) for record in one] for one in found]


def test_a_search_by_workers_is_the_one_of_one_process(
    tmp_path: Path, tiny: Path, finished: tuple[Path, Result]
) -> None:
    with served() as server:
        url = new_database(server.url.replace("unused", "s3cr3t"))
        run, cpu = tmp_path / "finished", ("--device", "cpu", "--storage", url)
        crew = [start("worker", "--idle", 20, *cpu) for _ in range(2)]
        search = start("search", "--workers", "--plan", tiny, "--run", run, *cpu)
        said = search.communicate(timeout=500)[0]
        assert search.returncode == 0, said
        assert "Workers score: hnas worker --storage" in said and "hnas:***@127.0.0.1" in said
        for one in crew:  # one while it waits; both have told what they did
            one.send_signal(signal.SIGTERM)
        ended = [one.communicate(timeout=300)[0] for one in crew]
        assert [one.returncode for one in crew] == [130, 130], ended
        assert all(
            "Interrupted. Another worker will score this worker's architecture." in e for e in ended
        )
        assert not any("s3cr3t" in text for text in (said, *ended))

        alone = shared_run(finished[0])
        assert trials(run, url) == trials(finished[0], alone.storage)
        ours, theirs = (json.loads((f / "result.json").read_text()) for f in (run, finished[0]))
        assert ours["winner"] == theirs["winner"]

        late = start("worker", "--idle", 0, *cpu)
        assert "0 scored; no search asks for workers any more." in late.communicate(timeout=300)[0]


def test_a_worker_needs_to_know_where(tmp_path: Path, tiny: Path) -> None:
    told = invoke("worker")
    assert told.exit_code == 2
    assert "a worker needs the search's --storage, or $HNAS_STORAGE" in told.output
    url = f"sqlite:///{tmp_path / 'study.db'}"
    told = invoke("search", "--workers", "--plan", tiny, "--run", tmp_path / "run", "--stage", 1,
                  "--device", "cpu", "--storage", url)  # fmt: skip
    assert told.exit_code == 2 and "scoring by workers needs a database server" in told.output
    told = invoke("worker", "--storage", url)
    assert told.exit_code == 2 and "hnas search without --workers" in told.output


@pytest.mark.parametrize("changed", ["weights", "images"])
def test_a_worker_with_other_weights_or_images_scores_nothing(
    tmp_path: Path, tiny: Path, changed: str
) -> None:
    with served() as server:
        url = new_database(server.url)
        cpu = ("--device", "cpu", "--storage", url)
        run, other = tmp_path / "run", tmp_path / "other" / "run"
        search = start("search", "--workers", "--stage", 1, "--plan", tiny, "--run", run, *cpu)
        assert search.stdout is not None
        for line in search.stdout:
            if "epoch 2/2" in line:
                break
        if changed == "weights":
            seed = (*("--plan", tiny), "--run", other, "--stage", 1, "--device", "cpu")
            assert invoke("search", *seed, "--seed", 1).exit_code == 0
            (other / "plan.toml").write_bytes((run / "plan.toml").read_bytes())
            (other / "split.json").write_bytes((run / "split.json").read_bytes())
            text = "supernet: stored"
        else:
            shutil.copytree(run, other)
            split = json.loads((other / "split.json").read_text())
            split["train"], split["held_out"] = split["held_out"], split["train"]
            (other / "split.json").write_text(json.dumps(split))
            text = "are not those that"
        worker = start("worker", "--run", other, "--idle", 60, *cpu)
        said = worker.communicate(timeout=500)[0]
        assert worker.returncode == 2 and text in said, said
        assert "Traceback" not in said
        search.send_signal(signal.SIGINT)
        search.communicate(timeout=300)
        storage = open_storage(url)
        study = open_study(storage, "run-stage1")
        assert {trial.state.name for trial in study.trials} == {"WAITING"}
        close_storage(storage)
