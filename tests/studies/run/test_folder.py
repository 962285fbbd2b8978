import os
import re
from dataclasses import replace

import pytest

from hnas.errors import BusyError, InputError, MismatchError, StateError
from hnas.studies.plan.change import override
from hnas.studies.run.folder import Run, begin_run, open_run
from tests.support.forked import Process


def test_a_run_is_made_once_and_then_continued(tmp_path, tiny):
    run = begin_run(tmp_path / "a", tiny)
    assert begin_run(tmp_path / "a", tiny) == run == open_run(tmp_path / "a")
    assert run.storage == f"sqlite:///{tmp_path / 'a' / 'study.db'}"
    assert run.study_name(2) == "a-stage2"


def test_a_run_says_how_another_plan_differs(tmp_path, tiny):
    begin_run(tmp_path / "a", tiny).write("split.json", {})
    other = override(tiny, seed=3, flops="90K")
    with pytest.raises(MismatchError) as error:
        begin_run(tmp_path / "a", other)
    assert "search.seed: stored 0, asked 3" in str(error.value)
    assert "search.flops: stored None, asked 90000" in str(error.value)
    assert "use another --run" in str(error.value)
    assert open_run(tmp_path / "a").plan == tiny


def test_a_plan_can_be_mended_until_the_images_are_split(tmp_path, tiny):
    begin_run(tmp_path / "a", override(tiny, data="nowhere"))
    assert begin_run(tmp_path / "a", tiny).plan == tiny == open_run(tmp_path / "a").plan


def test_a_moved_run_keeps_its_studies_names(tmp_path, tiny):
    begin_run(tmp_path / "a", tiny)
    moved = (tmp_path / "a").rename(tmp_path / "b")
    assert open_run(moved).study_name(1) == "a-stage1"
    assert open_run(moved).storage == f"sqlite:///{moved / 'study.db'}"


def test_more_trials_and_other_retraining_are_no_other_plan(tmp_path, tiny):
    begin_run(tmp_path / "a", tiny)
    more = override(tiny, trials=40)
    begin_run(tmp_path / "a", tiny).write("split.json", {})
    more = replace(more, retrain=replace(more.retrain, top=3))
    assert begin_run(tmp_path / "a", more).plan == more == open_run(tmp_path / "a").plan


def test_a_run_that_has_not_begun(tmp_path):
    with pytest.raises(InputError, match=r"no run in .*nothing: it has no plan.toml. Begin it"):
        open_run(tmp_path / "nothing")


def test_a_password_is_not_kept_and_the_storage_must_be_given_again(tmp_path, tiny):
    url = "postgresql://me:s3cret@127.0.0.1/db"
    run = begin_run(tmp_path / "a", tiny, storage=url)
    assert run.storage == url
    assert not any(b"s3cret" in p.read_bytes() for p in run.folder.iterdir() if p.is_file())
    with pytest.raises(InputError, match=r"keeps its studies in postgresql://me:\*\*\*@127") as e:
        open_run(tmp_path / "a")
    assert "s3cret" not in str(e.value)
    assert open_run(tmp_path / "a", storage=url).storage == url
    with pytest.raises(InputError, match="keeps its studies in"):
        open_run(tmp_path / "a", storage="sqlite:///elsewhere.db")


def test_a_storage_of_its_own_is_not_left_by_accident(tmp_path, tiny):
    begin_run(tmp_path / "a", tiny)
    with pytest.raises(InputError, match=r"keeps its studies in sqlite:///.*study.db"):
        begin_run(tmp_path / "a", tiny, storage="sqlite:///elsewhere.db")


HOLD = """
import pathlib, signal, sys
from hnas.studies.run.folder import open_run
with open_run(pathlib.Path(sys.argv[1])).hold():
    print("held", flush=True)
    signal.pause()
"""


def test_one_process_holds_a_run_and_a_dead_one_does_not(tmp_path, tiny):
    run = begin_run(tmp_path / "a", tiny)
    with Process(["-c", HOLD, tmp_path / "a"]) as holder:
        try:
            assert holder.stdout is not None and holder.stdout.readline() == "held\n"
            held_by = rf"held by another process \(pid {holder.pid}\)"
            with pytest.raises(BusyError, match=held_by), run.hold():
                pass
            open_run(tmp_path / "a")  # readers are not kept out
        finally:
            holder.kill()
    with run.hold():
        pass


def test_what_goes_wrong_while_a_run_is_held_is_told_as_it_is(tmp_path, tiny):
    run = begin_run(tmp_path / "a", tiny)
    for error in (OSError(28, "No space left on device"), TimeoutError("slow")):
        with pytest.raises(type(error), match=re.escape(str(error))), run.hold():
            raise error
    with run.hold():  # and it is let go
        pass


def test_a_folder_that_cannot_be_made(tmp_path, tiny):
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match=r"cannot be written: Not a directory.*another --run"):
        begin_run(tmp_path / "file" / "a", tiny)


def test_a_torn_record_is_named(tmp_path, tiny):
    run = begin_run(tmp_path / "a", tiny)
    (run.folder / "split.json").write_text('{"train": [1, 2')
    with pytest.raises(StateError, match=r"split.json cannot be read as JSON.*delete it"):
        run.read("split.json")
    assert run.read("absent.json") is None


def test_seeds_differ_by_purpose_and_by_the_plans_seed(tmp_path, tiny):
    runs = [Run(tmp_path, override(tiny, seed=seed), "", "a") for seed in (0, 1)]
    seeds = {run.seed(purpose) for run in runs for purpose in ("a", "b", "c")}
    assert len(seeds) == 6


@pytest.mark.parametrize("value", ["../..", [1.5], ["1"], [-1], {"1": 1}])
def test_counts_of_rescorings_cannot_lead_anywhere(tmp_path, tiny, value):
    run = begin_run(tmp_path / "a", tiny)
    run.write("run.json", {**run.read("run.json"), "rescored": value})
    with pytest.raises(StateError, match=r"run.json is not that of a run: rescored.* must be"):
        open_run(tmp_path / "a")


def test_a_pipe_in_a_run_is_waited_for_by_nobody(tmp_path, tiny):
    run = begin_run(tmp_path / "a", tiny)
    (run.folder / "run.json").unlink()
    os.mkfifo(run.folder / "run.json")
    with pytest.raises(StateError, match=r"run.json cannot be read as JSON: .*a regular file"):
        open_run(run.folder)
