"""The whole retraining recipe, with a teacher, from one plan to an exported network."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.exchange.export import load
from hnas.studies.run.folder import open_run

RECIPE = """
[retrain.training]
epochs = 2
batch = 32
lr = 2e-3
label_smoothing = 0.1
dropout = 0.1
drop_path = 0.1
ema = 0.9
mixup = 0.8
cutmix = 1.0
repeats = 3

[retrain.augment]
crop = 0.3
shift = 1
flip = true
rotate = 5
randaugment = 9.0
erase = 0.25
erase_noise = true

[retrain.distillation]
teacher = "TEACHER"
rule = "soft"
weight = 0.1
"""


def invoke(*args: object) -> Result:
    return CliRunner().invoke(hnas, [*map(str, args)], catch_exceptions=False)


@pytest.fixture
def teacher(tmp_path: Path, finished: tuple[Path, Result]) -> Path:
    """The winner of another search."""
    run = shutil.copytree(finished[0], tmp_path / finished[0].name)
    result = invoke("export", run, "--to", tmp_path / "teacher", "--device", "cpu")
    assert result.exit_code == 0, result.output
    return tmp_path / "teacher"


@pytest.fixture
def plan(tmp_path: Path, tiny: Path, teacher: Path) -> Path:
    """The supernet of stage 1 is trained on mixed and strongly augmented images too."""
    before, rest = tiny.read_text().split("[retrain]\n")
    assert rest == "top = 2\ntraining = {epochs = 1, lr = 2e-3}\n"
    before = before.replace(
        "training = {epochs = 2, lr = 2e-3}",
        "training = {epochs = 2, lr = 2e-3, mixup = 0.2, label_smoothing = 0.1}",
    )
    path = tmp_path / "recipe.toml"
    augment = "[augment]\nrandaugment = 5.0\n"
    recipe = RECIPE.replace("TEACHER", str(teacher))
    path.write_text(f"{before}{augment}[retrain]\ntop = 2\n{recipe}")
    return path


def test_from_a_plan_to_a_network_that_stands_alone(
    tmp_path: Path, plan: Path, teacher: Path
) -> None:
    run = tmp_path / "run"
    result = invoke("search", "--plan", plan, "--run", run, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "The winner compared with an all-global network" in result.stdout

    rules = open_run(run).plan.retrain
    asked = tomllib.loads(plan.read_text())["retrain"]
    for table in ("training", "augment", "distillation"):
        record = getattr(rules, table)
        assert {name: getattr(record, name) for name in asked[table]} == asked[table]

    teacher.with_suffix(".json").unlink()  # what is trained needs it no more
    result = invoke("export", run, "--to", tmp_path / "net", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert load(tmp_path / "net").model.frame == open_run(run).plan.net


def test_a_teacher_that_cannot_teach_is_told_before_anything_is_trained(
    tmp_path: Path, plan: Path, teacher: Path
) -> None:
    plan.write_text(plan.read_text().replace(str(teacher), "nobody:knows"))
    args = ("search", "--plan", plan, "--run", tmp_path / "run", "--device", "cpu")
    result = invoke(*args, "--allow-code")
    assert result.exit_code == 2
    assert result.stderr == (
        f"Error: nobody:knows: there is no module 'nobody' in {Path.cwd()} or among the installed "
        "ones\n"
    )
    assert "epoch" not in result.stdout


def test_a_plan_file_runs_no_code_unasked(
    tmp_path: Path, plan: Path, teacher: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "surprise.py").write_text(
        f"import pathlib; pathlib.Path({str(tmp_path / 'ran')!r}).touch()"
    )
    args = ("--plan", plan, "--device", "cpu")
    plan.write_text(plan.read_text().replace(str(teacher), "surprise:teacher"))
    for command in ("search", "compare"):
        result = invoke(command, *args)
        assert result.exit_code == 2
        assert result.stderr.startswith(
            f"Error: the plan {plan if command == 'search' else plan.stem} "
        )
        assert (
            "names code to run: retrain.distillation.teacher = 'surprise:teacher'. A plan may "
            "not run code unasked. Look at the code, then give --allow-code\n"
        ) in result.stderr
    assert not (tmp_path / "ran").exists() and not (tmp_path / "runs").exists()
    assert "surprise:teacher: surprise" in invoke("search", *args, "--allow-code").stderr
    assert (tmp_path / "ran").exists()
