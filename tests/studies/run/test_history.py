"""The history of trainings: what is read is what was written, and nothing is there twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnas.errors import StateError
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import Run, begin_run
from hnas.studies.run.history import FILE, History, Row, curves, read_history
from hnas.training.record import Held, Kept

FIRST = Row(training="checkpoints/supernet1", epoch=1, epochs=2, loss=2.5, lr=1e-3)
JUDGED = Row(
    training="networks/0123456789ab",
    epoch=1,
    epochs=1,
    loss=1.5,
    lr=0.0,
    plain=Held(accuracy=0.5, loss=1.25),
    averaged=Held(accuracy=0.25, loss=2.0),
    kept=Kept(accuracy=0.5, loss=1.25, epoch=1, averaged=False),
)


@pytest.fixture
def run(tmp_path: Path, tiny: Plan) -> Run:
    return begin_run(tmp_path / "tiny", tiny)


def test_rows_are_read_as_they_were_written(run: Run) -> None:
    assert read_history(run) == {}
    history = History(run)
    for row in (FIRST, JUDGED):
        history.add(row)
    assert read_history(run) == {FIRST.training: (FIRST,), JUDGED.training: (JUDGED,)}


def test_an_epoch_that_is_trained_again_is_there_once(run: Run) -> None:
    for _ in range(2):
        history = History(run)
        for _ in range(2):
            history.add(FIRST)
            history.add(JUDGED)
    assert len((run.folder / FILE).read_text().splitlines()) == 2


def test_nothing_is_written_through_a_link(run: Run) -> None:
    """Of a run that came from someone else, to a file of ours."""
    precious = run.folder / "precious"
    precious.write_text("")
    (run.folder / FILE).symlink_to(precious)
    with pytest.raises(StateError, match="cannot be written: Too many levels of symbolic links"):
        History(run).add(FIRST)
    assert precious.read_text() == ""


@pytest.mark.parametrize("torn", ["{", '{"training": "checkpoints/supernet1", "epoch": 2'])
def test_a_line_torn_by_a_kill_is_made_again(run: Run, torn: str) -> None:
    History(run).add(FIRST)
    with (run.folder / FILE).open("a") as file:
        file.write(torn)
    assert read_history(run) == {FIRST.training: (FIRST,)}
    History(run).add(JUDGED)
    assert read_history(run) == {FIRST.training: (FIRST,), JUDGED.training: (JUDGED,)}


@pytest.mark.parametrize("line", ["no JSON", "{}", '{"training": 3}', "[]"])
def test_a_damaged_line_is_named(run: Run, line: str) -> None:
    History(run).add(FIRST)
    with (run.folder / FILE).open("a") as file:
        file.write(f"{line}\n")
    with pytest.raises(StateError, match=rf"line 2 of .*{FILE} is not an epoch of a training"):
        read_history(run)


def test_curves_are_called_by_what_they_train(run: Run) -> None:
    history = History(run)
    for row in (FIRST, JUDGED):
        history.add(row)
    assert list(curves(run, None)) == ["supernet of stage 1"]
