"""`hnas rank`: what it prints and writes, and that a break costs nothing."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.studies.run.folder import open_run
from hnas.studies.run.ranking import read_ranking
from tests.support.forked import Process


def rank(*args: object) -> Result:
    return CliRunner().invoke(hnas, ["rank", *map(str, args)], catch_exceptions=False)


@pytest.fixture
def copy(tmp_path: Path, finished: tuple[Path, Result]) -> Path:
    """A finished run to change; its name is part of its studies' names."""
    return Path(shutil.copytree(finished[0], tmp_path / finished[0].name))


def test_it_prints_what_it_writes(copy: Path) -> None:
    result = rank("--run", copy, "--n", 4, "--seeds", 4, "--device", "cpu")
    assert result.exit_code == 0, result.output
    written = json.loads((copy / "ranking-stage1.json").read_text())
    assert (
        "\nStage 1: 4 architectures, each trained alone 4 times for 1 epochs, tested on "
        f"{written['images']} held-out images:\n"
    ) in result.stdout
    table = result.stdout.split("held-out images:\n")[1].split("\n\n")[0].splitlines()
    names = ("tau", "spearman", "pearson", "tau_top", "tau_others", "reference", "difference")
    assert len(table) == 1 + len(names)
    for line, name in zip(table[1:], names, strict=True):
        found = written["agreement"][name]
        wanted = [
            "nan" if found[k] is None else f"{found[k]:.4f}" for k in ("value", "low", "high")
        ]
        assert line.split()[-3:] == wanted
    regret = written["agreement"]["regret"]
    assert (
        f"The search's pick is {regret['value']:.4f} +- {regret['standard_error']:.4f}"
        in result.stdout
    )
    found = read_ranking(open_run(copy), 1)
    assert found is not None
    assert result.stdout.splitlines()[-4] == found.conclusion
    assert f"Wrote {copy / 'ranking-stage1.json'}\n" in result.stdout
    assert f"Wrote {copy / 'ranking-stage1.svg'}\n" in result.stdout


def finished_networks(folder: Path, epochs: int) -> dict[Path, bytes]:
    """The index files of the networks that have had all epochs."""
    indices = {path: path.read_bytes() for path in (folder / "networks").glob("*.json")}
    return {
        path: index
        for path, index in indices.items()
        if json.loads(index)["versions"][0]["meta"]["epoch"] == epochs
    }


def test_a_killed_ranking_goes_on_where_it_was(copy: Path) -> None:
    args = ["--run", str(copy), "--n", "4", "--seeds", "1", "--epochs", "15", "--device", "cpu"]
    process = Process(["-m", "hnas.cli.main", "rank", *args], stdout=None)
    while not finished_networks(copy, 15):
        assert process.poll() is None
        time.sleep(0.02)
    process.kill()
    process.wait()
    kept = finished_networks(copy, 15)
    result = rank(*args)
    assert result.exit_code == 0, result.output
    written = json.loads((copy / "ranking-stage1.json").read_text())
    after = finished_networks(copy, 15)
    assert {path.stem for path in after} == {one["networks"][0] for one in written["ranked"]}
    assert len(after) == 4
    assert {path: after[path] for path in kept} == kept  # not trained again


def test_where_there_is_no_run(tmp_path: Path) -> None:
    result = rank("--run", tmp_path)
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: there is no run in {tmp_path}: it has no plan.toml. "
        f"Begin it: hnas search --run {tmp_path}\n"
    )
