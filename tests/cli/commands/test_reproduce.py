"""`hnas reproduce`: a run's values hold, or it is told which do not; nothing of it is written."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.studies.run.images import WITHOUT
from tests.support.moved_images import changed


def reproduce(*args: object) -> Result:
    args = ("reproduce", *args, "--device", "cpu")
    return CliRunner().invoke(hnas, [*map(str, args)], catch_exceptions=False)


def files(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def copy(tmp_path: Path, finished: tuple[Path, Result]) -> Path:
    return Path(shutil.copytree(finished[0], tmp_path / finished[0].name))


def test_a_run_is_reproduced_to_the_last_bit(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def met_once(*args: object, **named: object) -> None:
        raise AssertionError("the test images are read")

    monkeypatch.setattr("hnas.studies.search.finish.test_images", met_once)
    before = files(copy)
    result = reproduce(copy, "--sample", 3)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert sum("stage1, trial" in line for line in lines) == 6  # accuracy and loss of three
    assert sum("stage2, the winner, score" in line for line in lines) == 2
    assert sum("winner alone, held-out" in line for line in lines) == 2
    assert sum("all-global alone, held-out" in line for line in lines) == 2
    assert "values hold, to the last bit." in lines[-2]
    assert lines[-1] == "The test images were not read: a run is tested once."
    assert files(copy) == before


def test_a_value_that_does_not_hold_is_told(copy: Path) -> None:
    with closing(sqlite3.connect(copy / "study.db")) as database, database:
        database.execute("UPDATE trial_values SET value = value + 1e-6 WHERE objective = 0")
    found = json.loads(reproduce(copy, "--json").stdout)
    assert not found["holds"]
    wrong = [value["what"] for value in found["values"] if not value["holds"]]
    assert wrong and all(what.endswith("score accuracy") for what in wrong)
    result = reproduce(copy)
    assert result.exit_code == 1
    assert f"{len(wrong)} of {len(found['values'])} values do not hold." in result.stdout


def test_on_another_machine_last_digits_may_differ(copy: Path) -> None:
    about = json.loads((copy / "run.json").read_text())
    about["environment"]["numpy"] = "1.0"
    (copy / "run.json").write_text(json.dumps(about))
    with closing(sqlite3.connect(copy / "study.db")) as database, database:
        database.execute("UPDATE trial_values SET value = value + 1e-6 WHERE objective = 0")
    result = reproduce(copy)
    assert result.exit_code == 0, result.output
    assert "numpy: 1.0 when the run began, " in result.stdout
    assert "within the tolerance for other machines" in result.stdout


def test_what_cannot_be_reproduced_is_told(copy: Path, tmp_path: Path, tiny: Path) -> None:
    index = json.loads((copy / "checkpoints" / "supernet1.json").read_text())
    for version in index["versions"]:
        (copy / "checkpoints" / version["file"]).unlink()
    assert "no usable version of checkpoint supernet1" in reproduce(copy).stderr
    (copy / "checkpoints" / "supernet1.json").unlink()
    assert "the training of supernet1 in " in reproduce(copy).stderr
    split = json.loads((copy / "split.json").read_text())
    split["train"], split["held_out"] = split["held_out"], split["train"]
    (copy / "split.json").write_text(json.dumps(split))
    assert "are not those that" in reproduce(copy).stderr
    assert reproduce(tmp_path / "none").exit_code == 2


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("they are moved away", "photos', are not there any more"),
        ("other images are in their place", "are not those that the run run was begun with"),
        ("an image is added", "are not those that the run run was begun with"),
    ],
)
def test_what_cannot_be_done_without_the_images_is_told(
    photographed: Path, tmp_path: Path, what: str, said: str
) -> None:
    with changed(photographed, what, tmp_path) as run:
        before = files(run)
        result = reproduce(run)
        assert files(run) == before
    assert result.exit_code == 2 and said in result.stderr and WITHOUT in result.stderr


def test_a_run_s_folder_says_what_it_was_made_with(finished: tuple[Path, Result]) -> None:
    made = json.loads((finished[0] / "run.json").read_text())["environment"]
    assert {"torch", "device", "threads", "python", "hnas", "numpy", "optuna"} <= set(made)
    assert (finished[0] / "plan.toml").exists() and (finished[0] / "split.json").exists()
