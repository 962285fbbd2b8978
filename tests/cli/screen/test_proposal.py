"""`hnas search --data` and `hnas init --data`: a plan for images of one's own, shown and asked."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from hnas.cli.main import hnas
from hnas.cli.screen.render import duration
from hnas.data.sources import files
from hnas.studies.plan.limits import LIMITS
from hnas.studies.plan.toml import load_plan
from hnas.studies.run.folder import open_run
from hnas.studies.search.estimate import MARGIN, Estimate, Timed


def invoke(*args: object) -> Result:
    return CliRunner().invoke(hnas, [*map(str, args)], catch_exceptions=False)


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `photos` of two classes, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for name, colour in (("dark", 40), ("light", 200)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(12):
            Image.new("L", (10, 8), colour + i).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


CPU = LIMITS["cpu"]
SHORT = ("--stage", 1, "--trials", 2, "--device", "cpu")


def test_a_plan_is_shown_with_what_it_takes_and_begun(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _quick(monkeypatch)
    read: list[str] = []
    decode = files.decode
    monkeypatch.setattr(files, "decode", lambda p, **how: read.append(p) or decode(p, **how))
    result = invoke("search", "--data", "photos", *SHORT)
    assert result.exit_code == 0, result.output
    shown = result.stdout.splitlines()
    assert shown[0] == "A plan proposed for photos:"
    assert max(map(len, shown[: shown.index("")])) <= 100
    reasons = " ".join(" ".join(shown[: shown.index("")]).split())
    assert "24 training images of 2 classes, 8 pixels a side, grey; no test part" in reasons
    assert any(line.startswith("  net.image 8, patch 2: ") for line in shown)
    (head,) = (i for i, line in enumerate(shown) if line.startswith("step  "))
    assert shown[head].split() == ["step", "work", "time", "memory"]
    steps = [line.split("  ")[0] for line in shown[head + 1 : head + 9]]
    assert steps == [
        "supernet of stage 1",
        "stage 1",
        "supernet of stage 2",
        "stage 2",
        "teacher",
        "retraining",
        "all-global network",
        "on held-out images too",
    ]
    assert "2 trials on 4 images" in shown[head + 2]
    assert shown[head + 9].endswith(
        "To change the plan: hnas init --data photos plan.toml, then hnas search --plan plan.toml"
    )
    assert shown[head + 10].startswith(f"runs/photos: {photos}, at most ")
    assert "Begin?" not in result.output
    plan = open_run(Path("runs/photos")).plan
    assert (plan.net.classes, plan.stage1.trials, plan.stage2.trials) == (2, 2, 100)
    assert len(read) == len(set(read)) == 24  # each image is read once

    again = invoke("search", "--data", "photos", *SHORT)
    assert again.stdout.startswith("Stage 1 of runs/photos is finished")


def test_init_writes_what_search_would_begin_with(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _quick(monkeypatch)
    monkeypatch.setattr("hnas.studies.search.estimate.estimate", lambda *_: [])
    result = invoke("init", "--data", "photos", "--device", "cpu", "mine.toml")
    assert (result.exit_code, result.stdout) == (0, "Wrote mine.toml, proposed for photos.\n")
    assert invoke("search", "--data", "photos", *SHORT).exit_code == 0
    begun, written = open_run(Path("runs/photos")).plan, load_plan(Path("mine.toml"))
    assert begun.net == written.net and begun.stage2 == written.stage2
    assert Path("mine.toml").read_text().startswith("# data photos: 24 training images of 2 ")


def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings of two epochs."""
    monkeypatch.setattr("hnas.studies.plan.proposal.LIMITS", {"cpu": replace(CPU, work=1)})
    monkeypatch.setattr("hnas.studies.plan.recipe.LEAST_EPOCHS", 2)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            ["init", "--data", "photos", "--preset", "digits"],
            "--preset and --data exclude each other: give one of them.",
        ),
        (
            ["init", "--data", "photos", "--flops", "much"],
            "--flops must be a whole number of multiply-accumulates >= 1, or text with K, M, G or "
            'T behind the number, such as "250M" or "1.3G"; got \'much\'. A share of the '
            'all-global network is written as "40%"',
        ),
    ],
)
def test_a_wrong_option(photos: Path, args: list[str], message: str) -> None:
    result = invoke(*args)
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1] == f"Error: {message}"
    assert not Path("plan.toml").exists()


@pytest.mark.parametrize("command", ["init", "search"])
def test_a_budget_that_nothing_fits(photos: Path, command: str) -> None:
    result = invoke(command, "--data", "photos", "--flops", "1K", "--device", "cpu")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: --flops 1K: stage1: no architecture of the space fits")
    assert [path.name for path in Path().iterdir()] == ["photos"]


def test_images_that_are_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("search", "--data", "phtoos", "--device", "cpu")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: data source 'phtoos' is unknown: ")
    assert list(tmp_path.iterdir()) == []


NO_ESTIMATE = """
from hnas.cli.main import main
from hnas.studies.search import estimate
estimate.estimate = lambda *_: []
main()
"""
"""`hnas`, which takes no step to see how long it takes: that has tests of its own."""


def test_at_a_terminal_it_asks(root: Path, photos: Path) -> None:
    """A real terminal, and a person who says no."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", NO_ESTIMATE, "search", "--data", "photos", "--device", "cpu"],
        env={**os.environ, "PYTHONPATH": str(root), "TERM": "dumb"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    os.write(ours, b"n\n")
    said = b"".join(iter(lambda: _read(ours), b"")).replace(b"\r", b"")
    os.close(ours)
    assert process.wait(timeout=60) == 0
    assert b"Begin? [" in said and said.endswith(b"Nothing was begun.\n")
    assert not Path("runs").exists()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other end is closed
        return b""


def test_the_reasons_follow_the_options(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the hint repeats those that `hnas init` takes."""
    monkeypatch.setattr("hnas.studies.search.estimate.estimate", lambda *_: [])
    options = ("--epochs", 7, "--trials", 3, "--flops", "50%", "--set", "score.batch=64")
    result = invoke("search", "photos", *options, "--device", "cpu", "--strategy", "flatt")
    assert result.exit_code == 2 and "did you mean 'flat'?" in result.stderr
    monkeypatch.setattr("hnas.cli.screen.proposal._terminal", lambda: True)
    monkeypatch.setattr("hnas.cli.screen.proposal._confirmed", lambda most: False)
    shown = invoke("search", "photos", *options, "--device", "cpu").stdout
    shown = " ".join(shown.split())
    assert "epochs 7, batch " in shown and "as asked; proposed: epochs " in shown
    assert "trials 3: as asked; proposed: trials " in shown
    assert "hnas init --data photos --flops 50% --set score.batch=64 plan.toml" in shown
    assert not Path("runs").exists()
    made = invoke("init", "--data", "photos", "--flops", "50%", "--set", "score.batch=64", "x.toml")
    assert made.exit_code == 0 and load_plan(Path("x.toml")).score.batch == 64
    assert "# epochs " in Path("x.toml").read_text()


@pytest.mark.parametrize(("seconds", "begins"), [(599.0, True), (601.0, False)])
def test_a_long_search_begins_only_if_a_person_says_so(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, seconds: float, begins: bool
) -> None:
    """And a plan of one's own is shown as a proposal is, on a terminal."""
    monkeypatch.chdir(tmp_path)
    most = Timed.of([seconds / 2 / MARGIN, seconds / 4 / MARGIN, seconds / MARGIN])
    steps = [Estimate(what="stage 1", work="8 trials", one=most, amount=1, memory=2**20)]
    monkeypatch.setattr("hnas.studies.search.estimate.estimate", lambda *_: steps)
    monkeypatch.setattr("hnas.cli.screen.proposal._terminal", lambda: True)
    asked = []
    monkeypatch.setattr("click.confirm", lambda text, default: asked.append(default))
    shown = invoke("search", "--plan", tiny, "--device", "cpu").stdout.splitlines()
    assert asked == [begins]
    assert shown[0] == f"The plan {tiny}:"
    assert any(line.startswith("  data digits: 1,797 training images of 10 cl") for line in shown)
    assert "  net.image 8, patch 2" in shown and "  trials 8, 6" in shown
    span = f"{duration(seconds / 4 / MARGIN)} to {duration(seconds)}"
    assert f"{span} in all." in shown and any(f"  {span}  " in line for line in shown)
    assert any(", as busy as it is now (load " in line for line in shown)
    assert shown[-1] == "Nothing was begun." and not Path("runs").exists()
