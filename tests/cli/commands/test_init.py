"""`hnas init`: the plan it writes, and that it takes nothing away."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from hnas.cli.main import hnas
from hnas.studies.plan.toml import PRESETS, load_plan, load_preset, preset_text
from tests.support.moved_images import write_images

INIT_DIGITS = ["init", "--data", "digits", "a.toml"]


@pytest.mark.parametrize("name", PRESETS)
def test_it_writes_the_preset_with_its_comments(tmp_path: Path, name: str) -> None:
    path = tmp_path / "mine.toml"
    result = CliRunner().invoke(hnas, ["init", "--preset", name, str(path)])
    assert (result.exit_code, result.stdout) == (0, f"Wrote {path}, a copy of the preset {name}.\n")
    assert path.read_text("utf-8") == preset_text(name)
    assert load_plan(path) == load_preset(name)


def test_digits_in_plan_toml_where_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert CliRunner().invoke(hnas, ["init"]).exit_code == 0
    assert load_plan(tmp_path / "plan.toml") == load_preset("digits")


def test_it_replaces_a_file_only_by_force(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    path.write_text("mine")
    result = CliRunner().invoke(hnas, ["init", str(path)])
    assert result.exit_code == 2
    assert result.stderr == (f"Error: {path} exists: give another name, or --force to replace it\n")
    assert path.read_text() == "mine"
    assert CliRunner().invoke(hnas, ["init", "--force", str(path)]).exit_code == 0
    assert load_plan(path) == load_preset("digits")


def test_an_unknown_preset_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "plan.toml"
    result = CliRunner().invoke(hnas, ["init", "--preset", "cifar", str(path)])
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: there is no preset 'cifar'; did you mean 'cifar10'?")
    assert not path.exists()


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    path = tmp_path / "none" / "plan.toml"
    result = CliRunner().invoke(hnas, ["init", str(path)])
    assert result.exit_code == 2
    assert result.stderr == f"Error: {path} cannot be written: No such file or directory\n"


def test_a_folder_here_goes_before_the_images_that_hnas_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert "a copy of the preset digits" in CliRunner().invoke(hnas, INIT_DIGITS).output
    write_images(tmp_path / "digits")
    assert CliRunner().invoke(hnas, INIT_DIGITS).exit_code == 2  # a.toml exists
    result = CliRunner().invoke(hnas, [*INIT_DIGITS, "--force"], catch_exceptions=False)
    assert result.stdout.endswith(f"Wrote a.toml, proposed for .{os.sep}digits.\n")
    assert load_plan(tmp_path / "a.toml").data.source == f".{os.sep}digits"
    told = CliRunner().invoke(hnas, ["data", "info", "digits"], catch_exceptions=False).stdout
    assert "1,797" not in told
    args = ["data", "pack", "digits", "--to", "pack", "--image", "8", "--processes", "1"]
    assert CliRunner().invoke(hnas, args, catch_exceptions=False).exit_code == 0


def test_options_change_the_preset_and_its_comments_stay(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    args = ["--flops", "40%", "--set", "stage1.training.lr=1e-4", str(path)]
    result = CliRunner().invoke(hnas, ["init", *args], catch_exceptions=False)
    assert result.stdout.splitlines() == [
        "--flops 40%: at most 1,192,742 MACs. An average distribution of the plan has 2,646,240 "
        "MACs, so net.d 48 -> 30, stage1.d_k 48 -> 30, stage2.d_k 24, 48, 96 -> 15, 30, 60.",
        f"Wrote {path}, a copy of the preset digits.",
    ]
    plan = load_plan(path)
    assert (plan.net.d, plan.search.flops, plan.stage1.training.lr) == (30, 1_192_742, 1e-4)
    assert "d = 30                  # token width\n" in path.read_text("utf-8")
