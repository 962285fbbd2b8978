"""`hnas status`: a run at every point of its way, read without touching it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.studies.plan.strategies import of_a_cnn
from hnas.studies.run.folder import open_run


def invoke(*args: object) -> Result:
    return CliRunner().invoke(hnas, [*map(str, args)], catch_exceptions=False)


def as_json(folder: Path) -> dict[str, Any]:
    result = invoke("status", "--json", "--run", folder)
    assert result.exit_code == 0, result.output
    value: dict[str, Any] = json.loads(result.stdout)
    return value


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_finished_run(finished: tuple[Path, Result]) -> None:
    folder, searched = finished
    shown = invoke("status", "--run", folder).stdout
    head, columns, *rows = shown.splitlines()
    assert head.startswith(f"{folder}: digits, at most 73,512 MACs an image")
    assert columns.split() == [
        "step",
        "done",
        "of",
        "time",
        "best",
        "score",
        "MACs",
        "front",
        "blocks",
    ]
    assert [" ".join(row.split()[:6]) for row in (rows[0], rows[3])] == [
        "supernet of stage 1 2 2",
        "supernet of stage 2 1 1",
    ]
    assert rows[1].split()[:5] == ["stage", "1", "8", "8", "trials"]
    assert rows[4].split()[:5] == ["stage", "2", "6", "6", "trials"]
    assert rows[5].split()[:4] == ["trained", "alone", "3", "networks"]
    # The result as the search printed it.
    assert shown.split("\nRetrained")[1].split("\nnext")[0] in searched.stdout
    assert shown.endswith(f"\nnext: hnas export {folder} --to {folder / 'winner'}\n")


def test_a_cnn_that_teaches_is_a_step(tmp_path: Path, tiny: Path) -> None:
    run = tmp_path / "run"
    asked = ("--set", "retrain.distillation.teacher=cnn", "--set", "retrain.refit=true")
    invoke("search", "--stage", "1", "--plan", tiny, "--run", run, "--device", "cpu", *asked)
    rows = [row.split() for row in invoke("status", "--run", run).stdout.splitlines()]
    [row] = [row for row in rows if row[:2] == ["the", "teacher"]]
    epochs = of_a_cnn(open_run(run).plan).training.epochs
    assert row[2:] == ["0", str(epochs), "epochs"]


def test_as_json(finished: tuple[Path, Result]) -> None:
    folder, _ = finished
    shown = as_json(folder)
    assert list(shown) == [
        *("run", "storage", "strategy", "objective", "latency_table", "stages", "handoff"),
        *("networks", "seconds", "seconds_left", "result", "finished", "next"),
    ]
    assert shown["strategy"] == "hierarchical"
    first, second = shown["stages"]
    for stage, trials, epochs in ((first, 8, 2), (second, 6, 1)):
        assert (stage["trials"], stage["trials_asked"]) == (trials, trials)
        assert (stage["epochs"], stage["epochs_asked"]) == (epochs, epochs)
        assert stage["finished"] is True
        assert stage["best"] == stage["front"][-1]
        assert list(stage["best"]) == ["trial", "score", "macs", "latency_ms", "params", "arch"]
        macs = [trial["macs"] for trial in stage["front"]]
        assert macs == sorted(macs)
    assert [b["G"] for b in shown["handoff"]["blocks"]] == [
        b["G"] for b in second["best"]["arch"]["blocks"]
    ]
    result, written = shown["result"], json.loads((folder / "result.json").read_text())
    assert result["test_images"] == 40
    for name in ("winner", "all_global"):
        accuracy = result[name]["test_accuracy"]
        assert accuracy == written[name]["test_accuracy"]
        assert result[name]["standard_error"] == pytest.approx(
            (accuracy * (1 - accuracy) / 40) ** 0.5
        )
        assert result[name]["arch"] == written[name]["arch"]
    assert len(result["candidates"]) == 2
    assert result["candidates"][0]["test_accuracy"] is None
    assert shown["finished"] is True


def test_nothing_slow_is_imported(root: Path, finished: tuple[Path, Result]) -> None:
    """Alembic comes with an Optuna storage that is opened: a third of the time."""
    code = (
        "import sys; from hnas.cli.main import hnas; hnas(sys.argv[1:], standalone_mode=False); "
        "print('slow:', {'torch', 'alembic', 'matplotlib', 'scipy', 'sklearn'} & set(sys.modules))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, "status", "--run", str(finished[0])],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "trained alone" in ran.stdout
    assert ran.stdout.splitlines()[-1] == "slow: set()"


def test_nothing_is_touched(finished: tuple[Path, Result]) -> None:
    folder, _ = finished
    was = contents(folder)
    invoke("status", "--run", folder)
    assert contents(folder) == was


def test_a_run_that_has_only_a_plan(tmp_path: Path, tiny: Path) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    shutil.copy(tiny, folder / "plan.toml")
    shown = as_json(folder)
    assert [stage["trials"] for stage in shown["stages"]] == [0, 0]
    assert [stage["best"] for stage in shown["stages"]] == [None, None]
    assert (shown["handoff"], shown["result"], shown["finished"]) == (None, None, False)
    assert shown["next"] == f"hnas search --run {folder}"
    text = invoke("status", "--run", folder)
    assert text.exit_code == 0
    assert text.stdout.endswith(f"\nnext: hnas search --run {folder}\n")
    assert [path.name for path in folder.iterdir()] == ["plan.toml"]


def test_a_run_between_its_stages(tmp_path: Path, tiny: Path) -> None:
    folder = tmp_path / "run"
    args = ("--stage", 1, "--plan", tiny, "--run", folder, "--device", "cpu")
    assert invoke("search", *args).exit_code == 0
    first, second = as_json(folder)["stages"]
    assert (first["finished"], second["finished"]) == (True, False)
    assert (second["epochs"], second["trials"], second["front"]) == (0, 0, [])
    assert as_json(folder)["seconds_left"] > 0
    shown = invoke("status", folder).stdout
    assert re.search(
        r"All steps so far took [\d:]+\. It is at step 3 of 5, supernet of stage 2; "
        r"what is left takes about [\d:]+\.\n",
        shown,
    )


def test_a_damaged_file_is_named(tmp_path: Path, finished: tuple[Path, Result]) -> None:
    folder = Path(shutil.copytree(finished[0], tmp_path / finished[0].name))
    (folder / "result.json").write_text("{")
    result = invoke("status", "--run", folder)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: {folder / 'result.json'} cannot be read as JSON: ")
