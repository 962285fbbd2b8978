"""Folders and storages of any name; a study belongs to one run."""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from hnas.errors import InputError, MismatchError, StorageError
from hnas.studies.plan.plan import Plan
from hnas.studies.request.begin import begin, beginning
from hnas.studies.request.decide import decide
from hnas.studies.request.request import Request
from hnas.studies.run.folder import Run, open_run
from hnas.studies.run.owner import OWNER, keep_owner
from hnas.studies.run.studies import read_stages
from hnas.studies.search.session import Session
from hnas.studies.trials.database import open_storage
from hnas.studies.trials.study import open_study
from hnas.studies.trials.url import absolute, sqlite_url

NAMES = ("what?1", "my%20run", "a#b 50%", """it's "é" {x}&y=@:z""")


def begun(plan: Plan, folder: Path, storage: str | None = None) -> Run:
    return begin(decide(Request(plan=plan, run=folder, storage=storage)))


def study_of(run: Run) -> None:
    """Makes the study of its first stage, as a search does."""
    keep_owner(
        run, open_study(open_storage(run.storage, create=True), run.study_name(1), create=True)
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_has_its_studies_whatever_it_is_called(
    tmp_path: Path, tiny: Plan, name: str
) -> None:
    run = begun(tiny, tmp_path / name)
    study_of(run)
    assert (run.folder / "study.db").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == [name]
    moved = Path(shutil.move(run.folder, tmp_path / "moved"))
    assert read_stages(open_run(moved))[0].study_id is not None


@pytest.mark.parametrize("name", NAMES)
def test_a_storage_lies_where_its_url_says_whatever_it_is_called(
    tmp_path: Path, tiny: Plan, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    url = sqlite_url(Path(f"{name}.db"))
    assert absolute(url) == url
    run = begun(tiny, tmp_path / "run", url)
    study_of(run)
    assert (tmp_path / f"{name}.db").is_file()
    assert read_stages(run)[0].study_id is not None


@pytest.mark.parametrize("url", ["sqlite:///:memory:", "sqlite://", "postgresql://a:b@c/d", "x"])
def test_what_is_no_file_stays_as_it_is(url: str) -> None:
    assert absolute(url) == url


def test_a_study_of_another_run_is_told_before_anything_is_made(tmp_path: Path, tiny: Plan) -> None:
    """The same plan, another plan, and a study that an older hnas made."""
    url = sqlite_url(tmp_path / "lab.db")
    first = begun(tiny, tmp_path / "u1/runs/digits", url)
    study_of(first)
    other = replace(tiny, search=replace(tiny.search, seed=9))
    message = (
        rf"study 'digits-stage1' in .*lab.db is of another run, {first.folder}\. .* --run a fo"
    )
    for user, plan in (("u2", tiny), ("u3", other)):
        folder = tmp_path / user / "runs/digits"
        with pytest.raises(MismatchError, match=message) as error:
            begun(plan, folder, url)
        assert not folder.exists() and "--rescore" not in str(error.value)
    assert begun(tiny, tmp_path / "u2/runs/mine", url).name == "mine"
    assert begun(tiny, first.folder, url).about.id == first.about.id  # its own is its own
    open_study(open_storage(url), "older-stage2", create=True)
    with pytest.raises(MismatchError, match=r"'older-stage2' in .* is of another run\. St"):
        begun(tiny, tmp_path / "older", url)


def test_a_run_that_fails_before_its_split_leaves_its_name_free(tmp_path: Path, tiny: Plan) -> None:
    """In a storage that runs share, too; the studies of others stay."""
    url = sqlite_url(tmp_path / "lab.db")
    study_of(begun(tiny, tmp_path / "other", url))
    asked = Request(plan=tiny, run=tmp_path / "mine", storage=url)
    for _ in range(2):
        with pytest.raises(InputError, match="an image is torn"), failing(asked) as run:
            study_of(run)
            run.write("layouts.json", {"gpus": {}})
            raise InputError("an image is torn")
        assert not run.folder.exists()
    assert optuna.get_all_study_names(url) == ["other-stage1"]
    with pytest.raises(InputError, match="later"), failing(asked) as run:
        study_of(run)
        run.write("split.json", {})
        raise InputError("later")
    assert optuna.get_all_study_names(url) == ["other-stage1", "mine-stage1"]


def failing(asked: Request) -> AbstractContextManager[Run]:
    return beginning(decide(asked), lambda text: None)


def test_a_run_whose_study_became_anothers(tmp_path: Path, tiny: Plan) -> None:
    url = sqlite_url(tmp_path / "lab.db")
    run = begun(tiny, tmp_path / "digits", url)
    study_of(run)
    study = open_study(open_storage(url), run.study_name(1))
    assert study.user_attrs[OWNER] == {"id": run.about.id, "folder": str(run.folder)}
    for owner in ({"id": "0" * 32, "folder": "/elsewhere"}, {"id": "1" * 32, "folder": "/there"}):
        study.set_user_attr(OWNER, owner)
        with pytest.raises(MismatchError, match=f"is of another run, {owner['folder']}"):
            study_of(run)
    run.tell(replace(run.about, id=""))  # begun by an older hnas
    with pytest.raises(MismatchError, match="is of another run, /there"):
        study_of(run)
    study.set_user_attr(OWNER, None)
    study_of(run)


def test_studies_that_are_gone_are_not_begun_again(tmp_path: Path, tiny: Plan) -> None:
    import torch

    url = sqlite_url(tmp_path / "lab.db")
    run = begun(tiny, tmp_path / "digits", url)
    (tmp_path / "lab.db").unlink()
    session = Session(open_run(run.folder, storage=url), torch.device("cpu"))
    with pytest.raises(StorageError, match=r"there is no study storage .*lab.db"):
        session.study(1)
    assert not (tmp_path / "lab.db").exists()
