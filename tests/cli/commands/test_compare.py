"""`hnas compare`: the whole way on a tiny plan, interrupted and continued, and wrong inputs."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.studies.run.folder import open_run
from tests.support.forked import Process

STRATEGIES = ("hierarchical", "flat")


def compare(*args: object) -> Result:
    return CliRunner().invoke(hnas, ["compare", *map(str, args)], catch_exceptions=False)


def fails(result: Result) -> str:
    """The message of a command that ended with exit code 2."""
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    return result.stderr.split("Error: ", 1)[1].strip()


def asked(tiny: Path, folder: Path) -> list[str]:
    both = ",".join(STRATEGIES)
    return ["--plan", str(tiny), "--strategies", both, "--seeds", "0,1", "--runs", str(folder),
            "--device", "cpu"]  # fmt: skip


def outcomes(folder: Path) -> list[dict[str, Any]]:
    """What must not depend on how often it was interrupted."""
    found = json.loads((folder / "compare.json").read_text())["rows"]
    return [{**one, "minutes": None} for row in found for one in row["outcomes"]]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("compared") / "runs"
    result = compare(*asked(tiny, folder))
    assert result.exit_code == 0, result.output
    return folder, result


def test_the_whole_way(compared: tuple[Path, Result]) -> None:
    folder, result = compared
    lines = result.stdout.splitlines()
    assert lines[0] == f"4 runs in {folder}, 0 of them finished"
    ended = [line for line in lines if re.match(r"\d/4: ", line)]
    assert [re.match(r"./4: (.*?): test ", line)[1] for line in ended] == [
        f"tiny, {strategy}, seed {seed}" for seed in (0, 1) for strategy in STRATEGIES
    ]
    each = lines[lines.index("Each winner:") + 1 :][:5]
    assert each[0].split()[:4] == ["plan", "strategy", "seed", "test"]
    rows = [line.split() for line in each[1:]]
    assert [row[:3] for row in rows] == [
        ["tiny", strategy, seed] for strategy in STRATEGIES for seed in ("0", "1")
    ]
    tests = {tuple(row[1:3]): float(row[3]) for row in rows}
    for row in rows[2:]:
        assert float(row[4]) == pytest.approx(tests["flat", row[2]] - tests["hierarchical", row[2]])
    assert "Mean over 2 seeds, +- standard deviation:" in lines
    for strategy in STRATEGIES:
        for seed in (0, 1):
            run = open_run(folder / f"tiny-{strategy}-seed{seed}")
            winner = run.read("result.json")["winner"]
            assert tests[strategy, str(seed)] == winner["test_accuracy"]
    assert lines[-2:] == [f"Wrote {folder / name}" for name in ("compare.json", "compare.svg")]


def test_all_have_scored_as_much(compared: tuple[Path, Result]) -> None:
    assert {one["trials"] for one in outcomes(compared[0])} == {14}


def test_what_is_finished_is_read_and_not_repeated(
    compared: tuple[Path, Result], tiny: Path, tmp_path: Path, root: Path
) -> None:
    folder, before = compared
    was = {path: path.stat().st_mtime_ns for path in folder.glob("*/*")}
    code = (
        "import sys; from hnas.cli.main import hnas; hnas(sys.argv[1:], standalone_mode=False); "
        "print('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, "compare", *asked(tiny, folder), "--to", str(tmp_path)]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert ran.stdout.startswith(f"4 runs in {folder}, 4 of them finished\n")
    assert ran.stdout.splitlines()[-1] == "False"
    tables = before.stdout.split("\nEach winner:")[1].split("\nWrote")[0]
    assert tables in ran.stdout
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/*")} == was
    assert outcomes(tmp_path) == outcomes(folder)


def interrupted(args: list[str], when: Callable[[str], bool]) -> tuple[int, str]:
    """Exit code and standard error of a comparison that met SIGTERM at the first such line."""
    with Process(["-m", "hnas.cli.main", "compare", *args], stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert any(map(when, process.stdout))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=300)
    return process.returncode, err


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_interrupted_it_goes_on_and_ends_the_same(
    root: Path, tmp_path: Path, tiny: Path, compared: tuple[Path, Result], jobs: int
) -> None:
    folder = tmp_path / "runs"
    args = [*asked(tiny, folder), "--jobs", str(jobs)]
    code, err = interrupted(args, lambda line: line.startswith("1/4: "))
    assert code == 130
    assert err == (
        f"\nInterrupted. Finished work is kept in {folder}. Resume with: "
        f"hnas compare {' '.join(args)}\n"
    )
    assert not (folder / "compare.json").exists()
    again = compare(*args)
    assert again.exit_code == 0, again.output
    finished = int(re.match(r"4 runs in .*, (\d) of them finished\n", again.stdout)[1])
    assert 1 <= finished < 4
    assert outcomes(folder) == outcomes(compared[0])


def test_a_process_that_fails_says_what_is_wrong(tmp_path: Path, tiny: Path) -> None:
    plan = tmp_path / "seven.toml"
    plan.write_text(tiny.read_text().replace("classes = 10", "classes = 7"))
    args = ("--plan", plan, "--strategies", "flat", "--seeds", "0", "--runs", tmp_path / "runs")
    message = fails(compare(*args, "--jobs", 2, "--device", "cpu"))
    assert message == "net.classes must be the number of classes in the data, 10 in 'digits', got 7"


def test_a_result_of_another_plan_is_refused(
    compared: tuple[Path, Result], tiny: Path, tmp_path: Path
) -> None:
    """What may change in a run that goes on may not in one that is compared."""
    folder = Path(shutil.copytree(compared[0], tmp_path / "runs"))
    plan = tmp_path / "tiny.toml"
    plan.write_text(tiny.read_text().replace("top = 2", "top = 1"))
    message = fails(compare(*asked(plan, folder)))
    assert message == (
        f"the run {folder / 'tiny-hierarchical-seed0'} was finished with another plan:\n"
        "  retrain.top: stored 2, asked 1\nAsk for what is stored, or use another --runs"
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["--strategies", "flat,hierarchic"],
            "strategy 'hierarchic' is unknown; did you mean 'hierarchical'? "
            "Known: hierarchical, high-level, flat, random",
        ),
        (
            ["--seeds", "0;1"],
            "--seeds must be whole numbers separated by commas, such as 0,1,2; got ",
        ),
        (["--seeds", "1,1"], "seeds must be distinct, at least one, got [1, 1]"),
        (["--preset", "digit"], "there is no preset 'digit'; did you mean 'digits'? Known: "),
        (["--plan", "x.toml"], "the plan x.toml cannot be read: No such file or directory"),
        (
            ["--preset", "digits", "--preset", "digits"],
            "plans must have distinct names, got 'digits' twice: rename a file",
        ),
        (["--jobs", "0"], "Invalid value for '--jobs': 0 is not in the range x>=1."),
    ],
)
def test_a_wrong_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert fails(compare(*args)).startswith(message)
    assert list(tmp_path.iterdir()) == []
