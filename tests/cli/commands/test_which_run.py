"""The run that a command works on: named in two ways, else the newest, and told."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import click
import pytest

from hnas.cli.main import load
from hnas.errors import InputError
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.toml import load_plan
from hnas.studies.request.decide import decide
from hnas.studies.request.request import Request
from hnas.studies.run.folder import begin_run
from tests.cli.conftest import invoke
from tests.support import fake_runs

OF_A_RUN = (
    *("status", "report", "dashboard", "analyze", "export", "predict", "latency", "rank"),
    *("reproduce", "retrain", "worker", "search"),
)


@pytest.fixture
def here(tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three runs, the middle one by name the newest."""
    monkeypatch.chdir(tmp_path)
    for name, hours in (("a", 2), ("b", 1), ("digits", 3)):
        folder = Path("runs", name)
        folder.mkdir(parents=True)
        shutil.copy(tiny, folder / "plan.toml")
        begun = 1_700_000_000 - 3600 * hours
        os.utime(folder / "plan.toml", (begun, begun))
    return tmp_path


@pytest.mark.parametrize("name", OF_A_RUN)
def test_a_run_is_an_argument_and_an_option(name: str) -> None:
    params = load(name).params
    assert any("--run" in param.opts for param in params)
    assert any(isinstance(param, click.Argument) for param in params)


def test_without_one_the_newest_is_taken_and_named(here: Path) -> None:
    result = invoke("status")
    assert result.stderr == "runs/b, the newest of 3 runs in ./runs:\n"
    assert result.stdout.startswith("runs/b: digits, ")
    Path("runs/a/.holder").write_text("1\n")  # it was worked on since
    result = invoke("status", "--json")
    assert result.stderr == "runs/a, the newest of 3 runs in ./runs:\n"
    assert json.loads(result.stdout)["run"] == "runs/a"


@pytest.mark.parametrize("named", [["runs/a"], ["--run", "runs/a"], ["runs/a", "--run", "runs/a"]])
def test_a_run_that_is_named_is_taken(here: Path, named: list[str]) -> None:
    result = invoke("status", *named)
    assert (result.stderr, result.stdout.splitlines()[0][:15]) == ("", "runs/a: digits,")


@pytest.mark.parametrize("named", [["a"], ["--run", "a"]])
def test_a_run_in_runs_needs_its_name_alone(here: Path, named: list[str]) -> None:
    """Beside a folder of images of that name too; not beside a run or network of that name."""
    assert invoke("status", *named).stdout.startswith("runs/a: digits,")
    Path("a/cats").mkdir(parents=True)
    assert invoke("status", *named).stdout.startswith("runs/a: digits,")
    Path("a.safetensors").touch()
    assert "there is no run in a: " in invoke("status", *named).stderr
    shutil.copy("runs/a/plan.toml", "a")
    assert invoke("status", *named).stdout.startswith("a: digits,")


def test_networks_of_runs_are_named_so_too(here: Path) -> None:
    Path("b").mkdir()
    for args in (("latency", "b"), ("predict", "b", "x.png"), ("predict", "--run", "b", "x.png")):
        assert "runs/b" in invoke(*args).stderr, args


@pytest.mark.parametrize("name", ["status", "report", "export"])
def test_two_runs_are_refused(here: Path, name: str) -> None:
    more = ("--to", "x") if name == "export" else ()
    result = invoke(name, "runs/a", "--run", "runs/b", *more)
    assert result.exit_code == 2
    assert "two runs are named, runs/a and runs/b: name one." in result.stderr


@pytest.mark.parametrize("args", [["status"], ["report"], ["predict", "x.png"], ["latency"]])
def test_where_there_is_none_it_says_what_to_do_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke(*args)
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: there is no run in ./runs yet. Begin one: `hnas search` (digits, in minutes), or "
        "`hnas search FOLDER` with a folder of images, one folder a class. Or name a run's folder\n"
    )


def test_images_may_be_an_argument_of_search(here: Path) -> None:
    """Of a search that cannot begin: the folder has no images."""
    Path("photos").mkdir()
    for args in (["photos"], ["--data", "photos"]):
        result = invoke("search", *args)
        assert result.exit_code == 2 and "photos" in result.stderr
        assert not Path("runs/photos").exists()
    result = invoke("search", "photos", "--data", "photos")
    assert "photos and --data photos: name one of them." in result.stderr


def test_a_search_that_fails_before_it_starts_leaves_no_run(here: Path) -> None:
    plan = Path("gone.toml")
    whole = Path("runs/a/plan.toml").read_text()
    plan.write_text(whole.replace("[data]", '[data]\nsource = "gone"'))
    result = invoke("search", "--plan", plan, "--device", "cpu")
    assert result.exit_code == 2 and "gone" in result.stderr
    assert not Path("runs/gone").exists()
    Path("mine").mkdir()
    Path("mine/notes").write_text("mine")
    assert invoke("search", "--plan", plan, "--run", "mine", "--device", "cpu").exit_code == 2
    assert [path.name for path in Path("mine").iterdir()] == ["notes"]
    Path("empty").mkdir()
    for run in ("empty/run", "empty"):
        assert invoke("search", "--plan", plan, "--run", run, "--device", "cpu").exit_code == 2
        assert Path("empty").is_dir() and not any(Path("empty").iterdir()), run


def test_a_cpu_without_bf16_is_told_before_a_run_is_made(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hnas.device.has_bf16", lambda device: False)
    for asked in (("--precision", "bf16"), ("--set", "stage2.training.precision=bf16")):
        result = invoke("search", "--plan", tiny, "--run", tmp_path / "run", *asked)
        assert result.exit_code == 2 and "the CPU of this machine has no products" in result.stderr
        assert not (tmp_path / "run").exists()


def test_trials_are_not_taken_away(tmp_path: Path, tiny: Path) -> None:
    plan: Plan = load_plan(tiny)
    run = begin_run(tmp_path / "run", plan)
    fake_runs.finish(run, trials=8)
    written = (run.folder / "plan.toml").read_bytes()
    with pytest.raises(InputError, match=r"^stage 1 of .*run has 8 trials, and 3 are asked for: t"):
        decide(Request(run=run.folder, trials=3))
    assert decide(Request(run=run.folder, trials=30)).plan.stage1.trials == 30
    assert (run.folder / "plan.toml").read_bytes() == written
