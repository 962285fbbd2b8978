"""Every command on a run of another strategy, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from hnas.cli.main import hnas
from hnas.exchange.export import load
from hnas.studies.dashboard.annotate import annotate
from hnas.studies.run.folder import open_run
from hnas.studies.trials.database import open_storage


def invoke(*args: object) -> Result:
    return CliRunner().invoke(hnas, [*map(str, args)], catch_exceptions=False)


def fails(result: Result) -> str:
    """The message of a command that ended with exit code 2."""
    assert result.exit_code == 2, result.output
    return result.stderr.split("Error: ", 1)[1].strip()


@pytest.fixture(scope="module")
def flat(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("runs") / "run"
    args = ("--plan", tiny, "--run", folder, "--device", "cpu")
    result = invoke("search", "--strategy", "flat", *args)
    assert result.exit_code == 0, result.output
    return folder, result


def test_a_whole_search(flat: tuple[Path, Result]) -> None:
    folder, result = flat
    shown = result.stdout.splitlines()
    heads = [
        f"{folder}: digits, at most 73.5K MACs an image, on cpu, flat search",
        "step 1 of 3, supernet of stage 1: epoch 3/3, loss ",
        "step 2 of 3, stage 1: trial 14/14, best ",
        "Stage 1: ",
        "Retrained from scratch for 1 epoch, best score first:",
        "The winner compared with an all-global network, on 40 test images:",
        f"next: hnas export {folder} --to {folder / 'winner'}",
    ]
    at = [next(i for i, line in enumerate(shown) if line.startswith(head)) for head in heads]
    assert at == sorted(at)
    assert "stage 2" not in result.stdout


def test_status(flat: tuple[Path, Result]) -> None:
    folder, _ = flat
    shown = json.loads(invoke("status", "--json", "--run", folder).stdout)
    assert (shown["strategy"], shown["handoff"], shown["finished"]) == ("flat", None, True)
    assert [stage["trials"] for stage in shown["stages"]] == [14]
    text = invoke("status", "--run", folder).stdout
    head, _, *rows = text.splitlines()
    assert head == f"{folder}: digits, at most 73,512 MACs an image, flat search"
    assert rows[1].split()[:5] == ["stage", "1", "14", "14", "trials"]
    assert "stage 2" not in text


def test_the_dashboards_note_has_no_link(flat: tuple[Path, Result]) -> None:
    run = open_run(flat[0])
    annotate(run)
    storage = open_storage(run.storage)
    attrs = storage.get_study_system_attrs(storage.get_study_id_from_name("run-flat"))
    note = "".join(str(text) for key, text in attrs.items() if key.startswith("dashboard:note_str"))
    assert "\n## Stage 1 of the flat search `run`\n" in f"\n{note}"
    assert "all at once, by SPOS's evolution." in note
    assert "Stages:" not in note


def test_retrain_and_export(flat: tuple[Path, Result], tmp_path: Path) -> None:
    folder, _ = flat
    result = invoke("retrain", "--run", folder, "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert ": epoch " not in result.stdout  # trained before
    target = tmp_path / "net"
    assert invoke("export", folder, "--to", target, "--device", "cpu").exit_code == 0
    winner = json.loads((folder / "result.json").read_text())["winner"]
    assert load(target).model.arch.to_dict() == winner["arch"]


def test_stage_by_stage(tmp_path: Path, tiny: Path, flat: tuple[Path, Result]) -> None:
    folder = tmp_path / "run"
    args = ("--strategy", "flat", "--plan", tiny, "--run", folder, "--device", "cpu")
    first = invoke("search", "--stage", 1, *args)
    assert first.exit_code == 0, first.output
    assert first.stdout.endswith(f"\nnext: hnas search --run {folder}\n")
    assert fails(invoke("search", "--stage", 2, *args)) == (
        f"the search of {folder} has no stage 2: its strategy 'flat' has 1. "
        "Leave --stage out, or begin another --run"
    )
    # The run knows its strategy.
    assert invoke("search", "--run", folder, "--device", "cpu").exit_code == 0
    was, now = (json.loads((f / "result.json").read_text()) for f in (flat[0], folder))
    assert now == was


def test_before_the_stage_is_finished_retraining_says_what_to_run(
    tmp_path: Path, tiny: Path
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "plan.toml").write_text(tiny.read_text() + '\n[search]\nstrategy = "random"\n')
    assert fails(invoke("retrain", "--run", folder)) == (
        "retraining needs a finished stage 1: 'run-random' has 0 of 14 trials. "
        f"Run: hnas search --stage 1 --run {folder}"
    )


def test_another_strategy_is_refused(flat: tuple[Path, Result]) -> None:
    folder, _ = flat
    message = fails(invoke("search", "--run", folder, "--strategy", "random"))
    assert message == (
        f"the run {folder} was begun with another plan, and what it has found depends on these:\n"
        "  search.strategy: stored 'flat', asked 'random'\n"
        "Ask for what is stored, or use another --run"
    )


def test_an_unknown_strategy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert fails(invoke("search", "--strategy", "flatt")) == (
        "strategy 'flatt' is unknown; did you mean 'flat'? "
        "Known: hierarchical, high-level, flat, random"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_baselines_run_has_a_folder_of_its_own(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    args = ("--plan", tiny, "--stage", 1, "--device", "cpu", "--strategy", "random")
    result = invoke("search", *args)
    assert result.stdout.startswith("runs/tiny-random: digits, at most ")
