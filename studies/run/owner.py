"""Whose a study is: in a storage that runs share, each study says which run it belongs to."""

from collections.abc import Mapping
from typing import Any

import optuna

from hnas.errors import MismatchError
from hnas.studies.run.folder import Run
from hnas.studies.trials.database import close_storage, open_storage, storage_errors
from hnas.studies.trials.study import stored_studies
from hnas.studies.trials.url import masked

OWNER = "run"
"""Attribute of a study: the `id` of its run, and the `folder` where that was begun."""


def check_free(run: Run, storage: str) -> None:
    """Raises MismatchError if a run that is to begin would find studies of another one."""
    for name, study in stored_studies(storage, _names(run)).items():
        raise _taken(name, storage, study.user_attrs)


def keep_owner(run: Run, study: optuna.Study) -> None:
    """Makes a new study the run's. Raises MismatchError if it is another's, StorageError."""
    about = run.about
    if about.storage is None:  # a file of the run's own
        return
    with storage_errors(f"the study {study.study_name!r} cannot be used"):
        owner = study.user_attrs.get(OWNER)
        if owner is None and about.id and not study.get_trials(deepcopy=False):
            study.set_user_attr(OWNER, {"id": about.id, "folder": str(run.folder.resolve())})
        elif (owner or {}).get("id", "") != about.id:  # older runs and their studies have none
            raise _taken(study.study_name, run.storage, study.user_attrs)


def release(run: Run) -> None:
    """Deletes the studies of a run, which has no trial yet, from a storage that runs share. Raises
    StateError."""
    if (about := run.about).storage is None:
        return
    storage = open_storage(run.storage)
    try:
        for name, study in stored_studies(run.storage, _names(run)).items():
            if about.id and (study.user_attrs.get(OWNER) or {}).get("id") == about.id:
                with storage_errors(f"the study {name!r} cannot be deleted"):
                    storage.delete_study(study.study_id)
    finally:
        close_storage(storage)


def _names(run: Run) -> list[str]:
    return [run.study_name(stage) for stage in range(1, len(run.stages) + 1)]


def _taken(study: str, storage: str, attrs: Mapping[str, Any]) -> MismatchError:
    folder = (attrs.get(OWNER) or {}).get("folder")
    return MismatchError(
        f"the study {study!r} in {masked(storage)} is of another run"
        f"{f', {folder}' if folder else ''}. Studies are called after the folder of their run: "
        "give --run a folder of another name, or another --storage"
    )
