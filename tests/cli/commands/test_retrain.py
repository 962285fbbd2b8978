"""`hnas retrain`: the table, what is kept for the search, and what is asked too early."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.studies.run.folder import open_run


def retrain(*args: object) -> Result:
    return CliRunner().invoke(hnas, ["retrain", *map(str, args)], catch_exceptions=False)


@pytest.fixture
def copy(tmp_path: Path, finished: tuple[Path, Result]) -> Path:
    """A finished run to change; its name is part of its studies' names."""
    return Path(shutil.copytree(finished[0], tmp_path / finished[0].name))


def rows(result: Result) -> list[list[str]]:
    assert result.exit_code == 0, result.output
    table = result.stdout.split("Retrained from scratch for ")[1].split("\n\n")[0]
    return [line.split() for line in table.splitlines()[1:]]


def test_what_is_trained_is_shown_again(copy: Path) -> None:
    result = retrain("--run", copy, "--device", "cpu")
    head, *networks = rows(result)
    assert head[:5] == ["network", "score", "held-out", "MACs", "params"]
    assert [row[0] for row in networks] == ["1", "2"]
    assert ": epoch " not in result.stdout  # trained before
    assert result.stdout.endswith(f"\nnext: hnas status --run {copy}\n")


def test_after_the_test_options_hold_for_the_command_alone(copy: Path) -> None:
    was = (copy / "plan.toml").read_bytes(), (copy / "result.json").read_bytes()
    result = retrain("--run", copy, "--top", 3, "--epochs", 2, "--device", "cpu")
    assert [row[0] for row in rows(result)] == ["network", "1", "2", "3"]
    assert result.stdout.count(": epoch 2/2, ") == 3
    assert ((copy / "plan.toml").read_bytes(), (copy / "result.json").read_bytes()) == was


def test_before_the_test_options_are_kept_for_the_search(copy: Path) -> None:
    (copy / "result.json").unlink()
    result = retrain("--run", copy, "--top", 1, "--epochs", 2, "--device", "cpu")
    assert len(rows(result)) == 2
    assert result.stdout.endswith(f"\nnext: hnas search --run {copy}\n")
    rules = open_run(copy).plan.retrain
    assert (rules.top, rules.training.epochs) == (1, 2)


def test_before_stage_2_it_says_what_to_run(tmp_path: Path, tiny: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(tiny, folder / "plan.toml")
    result = retrain("--run", folder)
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: retraining needs a finished stage 2: 'run-stage2' has 0 of 6 trials. "
        f"Run: hnas search --stage 2 --run {folder}\n"
    )


def test_where_there_is_no_run(tmp_path: Path) -> None:
    result = retrain("--run", tmp_path)
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: there is no run in {tmp_path}: it has no plan.toml. "
        f"Begin it: hnas search --run {tmp_path}\n"
    )
