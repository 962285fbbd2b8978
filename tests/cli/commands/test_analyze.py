"""`hnas analyze`: what it prints is what it has in JSON, and the run is left as it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas

STATEMENTS = ["of", "elites", "networks", "trials", "kinds", "kernels"]
STATEMENTS += ["depth", "depth_chance", "order", "importances"]


def invoke(*args: object) -> Result:
    return CliRunner().invoke(hnas, ["analyze", *map(str, args)], catch_exceptions=False)


def as_json(*args: object) -> dict[str, Any]:
    result = invoke(*args, "--json")
    assert result.exit_code == 0, result.output
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def test_as_json(finished: tuple[Path, Result]) -> None:
    folder, _ = finished
    shown = as_json(folder)
    assert list(shown) == ["run", "rule", "studies", "published"]
    assert (shown["run"], shown["rule"]) == (str(folder), "top")
    first, second = shown["studies"]
    for study, of, trials in ((first, "stage1", 8), (second, "stage2", 6)):
        assert list(study) == STATEMENTS
        assert (study["of"], study["trials"], study["networks"]) == (of, trials, 4)
    assert [share["what"] for share in first["kinds"]] == ["global", "mixed", "local"]
    assert sum(share["count"] for share in first["kinds"]) == 4 * 2
    assert first["kernels"] == second["kinds"] == []
    assert (second["order"], second["importances"]) == (None, None)
    assert [share["count"] for share in shown["published"]["kinds"]] == [5, 3, 4]


def test_what_is_printed(finished: tuple[Path, Result]) -> None:
    folder, _ = finished
    first = as_json(folder)["studies"][0]
    text = invoke(folder).stdout
    assert text.startswith("stage1: the 4 of highest score of 8 trials\n")
    for share in first["kinds"]:
        (row,) = (
            line.split()
            for line in text.split("stage2:")[0].splitlines()
            if line.startswith(share["what"] + " ") and "groups" not in line
        )
        assert row[1:4] == [str(share["count"]), "8", f"{share['count'] / 8:.4f}"]
        assert " ".join(row[-2:]) in ("than chance", "by chance")
    assert "\nGLiT-Tiny (release): the published network\n" in text
    assert "\nK = 17      0   4  0.0000  " in text
    assert "turns between mostly local and mostly global: 8.00 of 11, 5.8" in text
    first, second, caution = text.split("\nIn short:\n")[1].splitlines()
    assert first.startswith("  stage1: ") and second.startswith("  stage2: ")
    assert "another --seed tells." in caution


def test_other_elites(finished: tuple[Path, Result]) -> None:
    folder, _ = finished
    (retrained,) = as_json(folder, "--elites", "retrained")["studies"]
    assert (retrained["of"], retrained["networks"]) == ("stage2", 2)
    front = as_json(folder, "--elites", "front")["studies"]
    assert [study["elites"].split(" ", 2)[2] for study in front] == ["on the Pareto front"] * 2


@pytest.mark.parametrize(("suffix", "start"), [("svg", b"<?xml"), ("png", b"\x89PNG")])
def test_it_is_drawn(
    finished: tuple[Path, Result], tmp_path: Path, suffix: str, start: bytes
) -> None:
    folder, _ = finished
    file = tmp_path / f"findings.{suffix}"
    result = invoke(folder, "--to", file)
    assert file.read_bytes().startswith(start)
    assert result.stdout.endswith(f"Wrote {file} ({file.stat().st_size:,} bytes)\n")


def test_the_published_network_alone() -> None:
    shown = as_json("--published")
    assert (shown["run"], shown["studies"]) == (None, [])
    alone = invoke("--published").stdout
    assert alone.startswith("GLiT-Tiny (release): the published network\n")
    assert "In short:" not in alone
    assert invoke("runs/digits", "--published").exit_code == 2


def test_a_picture_of_no_known_kind_is_refused_at_once(tmp_path: Path) -> None:
    result = invoke(tmp_path, "--to", tmp_path / "findings.jpeg")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: --to must end in .svg, .png or .pdf, got ")


def test_nothing_is_touched(finished: tuple[Path, Result]) -> None:
    folder, _ = finished
    was = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    invoke(folder)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == was


def test_stage_1_alone(finished: tuple[Path, Result], tmp_path: Path, tiny: Path) -> None:
    folder = tmp_path / "run"
    search = ["search", "--stage", "1", "--plan", str(tiny), "--run", str(folder)]
    assert CliRunner().invoke(hnas, search).exit_code == 0
    assert [study["of"] for study in as_json(folder)["studies"]] == ["stage1"]
    result = invoke(folder, "--elites", "retrained")
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: the run {folder} has no retrained networks yet. Finish it: hnas search --run "
        f"{folder}, or use --elites top\n"
    )


def test_a_run_that_has_nothing_yet(tmp_path: Path, tiny: Path) -> None:
    shutil.copy(tiny, tmp_path / "plan.toml")
    result = invoke(tmp_path)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        f"Error: the run {tmp_path} has no finished trials to analyze. "
        f"Search first: hnas search --run {tmp_path}\n"
    )
