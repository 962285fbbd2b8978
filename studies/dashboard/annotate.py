"""Annotations of a run's studies for the dashboard: figures, notes, and drawings of elites.

All of them follow from the stored trials and can be made again. They are kept in a study's system
attributes, as optuna-dashboard keeps what a person adds in the browser, so the stock dashboard
shows them. Finished trials are not touched. Drawings are files of the run:

    optuna-dashboard sqlite:///runs/digits/study.db --artifact-dir runs/digits/artifacts
"""

import json
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from optuna.storages import RDBStorage
from optuna_dashboard._custom_plot_data import (  # type: ignore[import-untyped]
    SYSTEM_ATTR_PLOT_DATA,
    get_plotly_graph_objects,
    save_graph_object_json,
)
from optuna_dashboard._note import (  # type: ignore[import-untyped]
    get_note_from_system_attrs,
    save_note_with_version,
)

from hnas.errors import StateError
from hnas.studies.dashboard.figures import figures
from hnas.studies.dashboard.layout import Figure
from hnas.studies.dashboard.notes import elite_note, study_note, winner_of
from hnas.studies.figures.network import Picture, network, picture
from hnas.studies.figures.style import svg
from hnas.studies.findings.published import published
from hnas.studies.report.gather import IMAGENET
from hnas.studies.run.files import write
from hnas.studies.run.folder import Run
from hnas.studies.run.status import Status, read_status
from hnas.studies.run.studies import StageStudy
from hnas.studies.trials.database import close_storage, open_storage, patiently, storage_errors
from hnas.studies.trials.writing import Key, write_system_attributes

OURS = 1
"""The version of notes that hnas writes. An edit in the browser makes it 2, and hnas keeps off."""
DRAWING = "architecture.svg"
"""File name of an elite's drawing."""
SVG = {"mimetype": "image/svg+xml", "encoding": None}
ATTACHED = "dashboard:artifacts:"
"""Prefix of a study's attributes that name the files of its trials:
`dashboard:artifacts:TRIAL_ID:ARTIFACT_ID`. Optuna keeps them in the trial, but a finished trial
takes none."""
DAMAGED = (LookupError, TypeError, ValueError, AttributeError, RecursionError)
"""What reading an attribute that another program changed may end in. It is written anew."""


def artifacts(run: Run) -> Path:
    """The folder of the run's drawings, an Optuna `FileSystemArtifactStore`."""
    return run.folder / "artifacts"


def annotate(run: Run) -> None:
    """Brings figures, notes and drawings up to the trials; what is there is not written again.

    Elites, and the winner, get theirs once their stage is finished. If another process is
    annotating, it is left to do so. Raises StateError if a file cannot be written, StorageError.
    """
    storage = open_storage(run.storage)
    try:
        with FileLock(run.folder / ".annotations.lock", timeout=0):
            status = read_status(run)
            for stage in status.begun:
                with storage_errors(f"figures and notes of {stage.name!r} cannot be stored"):
                    assert stage.study_id is not None  # it has begun
                    attrs = Attributes(storage.get_study_system_attrs(stage.study_id))
                    _Annotations(storage, stage, attrs).bring_up(status)
                    _store(storage, Key(stage.study_id), attrs.changed)
    except Timeout:
        pass
    except OSError as error:
        raise StateError(f"{run.folder} cannot be written: {error.strerror}") from None
    finally:
        close_storage(storage)


class Attributes:
    """A study's system attributes, read once, as far as optuna-dashboard asks a storage for them.
    What is set is kept, to be stored in one transaction: most of the time goes into beginning one.
    """

    def __init__(self, stored: dict[str, Any]) -> None:
        self.all = stored
        self.changed: dict[str, Any] = {}

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self.all

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self.all[key] = self.changed[key] = value


def _store(storage: RDBStorage, study: Key, changed: dict[str, Any]) -> None:
    if changed:
        patiently(lambda: write_system_attributes(storage, study, changed))


class _Annotations:
    """Of one study."""

    def __init__(self, storage: RDBStorage, stage: StageStudy, attrs: Attributes) -> None:
        assert stage.study_id is not None  # it has begun
        self.storage, self.stage, self.study_id = storage, stage, stage.study_id
        self.stored, self.attrs = attrs, attrs.all

    def bring_up(self, status: Status) -> None:
        others = published() if status.run.plan.net.classes == IMAGENET else ()
        for name, figure in figures(status, self.stage, others).items():
            self._figure(name, figure)
        self._note(None, study_note(status, self.stage))
        if self.stage.finished:
            self._elites(status)

    def _figure(self, name: str, figure: Figure) -> None:
        text = json.dumps(figure, separators=(",", ":"), ensure_ascii=False)
        with suppress(*DAMAGED):
            if get_plotly_graph_objects(self.attrs).get(name) == text:
                return
        prefix = f"{SYSTEM_ATTR_PLOT_DATA}{name}:"
        save_graph_object_json(self.stored, self.study_id, prefix, text)

    def _note(self, trial_id: int | None, text: str) -> None:
        with suppress(*DAMAGED):
            note = get_note_from_system_attrs(self.attrs, trial_id)
            if note["version"] > OURS or note["body"] == text:
                return
        save_note_with_version(self.stored, self.study_id, trial_id, OURS, text)

    def _elites(self, status: Status) -> None:
        before, shown = self._attached(), list(self.stage.front)
        winner = winner_of(status, self.stage)
        if winner is not None and winner not in shown:  # it need not have the best score
            shown.append(winner)
        for record in shown:
            trial_id = self.storage.get_trial_id_from_study_id_trial_number(
                self.study_id, record.number
            )
            drawn = picture("", status.run.plan.net, record.arch)
            drawing = self._draw(drawn)
            if before.pop(trial_id, None) != drawing:
                about = {"artifact_id": drawing, "filename": DRAWING, **SVG}
                self._set(f"{ATTACHED}{trial_id}:{drawing}", json.dumps(about))
            address = f"/artifacts/{self.study_id}/{trial_id}/{drawing}"
            self._note(trial_id, elite_note(status, self.stage, record, drawn, address))
        for trial_id, drawing in before.items():  # no longer on the front
            self._set(f"{ATTACHED}{trial_id}:{drawing}", json.dumps(None))
            self._note(trial_id, "")

    def _attached(self) -> dict[int, str]:
        """The drawings that are there, by trial."""
        found = {}
        for key, value in self.attrs.items():
            with suppress(*DAMAGED):
                if key.startswith(ATTACHED) and (about := json.loads(value)):
                    trial_id, drawing = key.removeprefix(ATTACHED).split(":")
                    if about["filename"] == DRAWING:
                        found[int(trial_id)] = drawing
        return found

    def _draw(self, drawn: Picture) -> str:
        """The artifact's id, by what is drawn: the same network is drawn once."""
        name = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{drawn.frame} {drawn.arch.to_json()}"))
        path = artifacts(self.stage.run) / name
        if not path.exists():
            write(path, svg(network(drawn)).encode())
        return name

    def _set(self, key: str, value: str) -> None:
        self.stored.set_study_system_attr(self.study_id, key, value)
