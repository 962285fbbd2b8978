"""Trials of a study: an architecture becomes a trial of Optuna, a finished trial a record."""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from functools import partial
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.errors import InputError, RowError
from hnas.studies.objective.costs import Costs, Priced, values
from hnas.studies.trials.database import CHANGED, patiently, storage_errors
from hnas.studies.trials.encoding import distributions, encode
from hnas.studies.trials.optuna_inside import database_of, study_id_of
from hnas.studies.trials.record import (
    ARCH,
    ERROR,
    RIGHT,
    SCORE,
    Record,
    arch_attribute,
    arch_of,
    cost_attributes,
    score_attributes,
    spent_of,
)
from hnas.studies.trials.study import key_of
from hnas.studies.trials.tables import TrialRow, count_trials, has_trial, insert_trial, trial_rows

GENERATION = "NSGAIISampler:generation"
"""System attribute: Optuna's sampler keeps a trial's generation there."""
DAMAGE = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, InputError)
"""What reading an attribute of another type raises."""
LARGEST = 2**63
"""Above all counts of a trial."""
CONSTRAINTS = "constraints"
"""System attribute in the list form: optuna-dashboard reads no other, Optuna reads both."""


def waiting_trial(
    space: Space, arch: Arch, generation: int, spent: Priced, costs: Costs
) -> FrozenTrial:
    """An architecture as a trial without a score; `spent` is what it costs."""
    return optuna.trial.create_trial(
        state=TrialState.WAITING,
        params=encode(space, arch),
        distributions=distributions(space),
        user_attrs=cost_attributes(arch, spent),
        system_attrs={GENERATION: generation, CONSTRAINTS: costs.excess(arch)},
    )


def finished_trial(
    space: Space, record: Record, *, costs: Costs, started: datetime, completed: datetime
) -> FrozenTrial:
    """A record as a trial."""
    trial = waiting_trial(space, record.arch, record.generation, record, costs)
    trial.state = TrialState.COMPLETE
    trial.values = values(record.accuracy, record, costs.objective)
    trial.user_attrs |= score_attributes(record)
    trial.datetime_start, trial.datetime_complete = started, completed
    return trial


def write_trial(
    study: optuna.Study,
    space: Space,
    record: Record,
    *,
    costs: Costs,
    started: datetime,
    completed: datetime,
) -> None:
    """Stores a finished trial in one transaction: once this returns, the trial survives a kill.

    The storage numbers it. Times are naive local ones, as Optuna's own. Raises StorageError.
    """
    trial = finished_trial(space, record, costs=costs, started=started, completed=completed)
    name = study.study_name
    with storage_errors(f"trial {record.number} of the study {name!r} cannot be stored"):
        if (database := database_of(study)) is None:
            study.add_trial(trial)
            return
        asked_before, arch = False, arch_attribute(record.arch)

        def insert() -> None:
            nonlocal asked_before
            # No architecture is stored twice: if it is there, only the answer was lost.
            if not (asked_before and has_trial(database, study_id_of(study), arch)):
                asked_before = True
                insert_trial(database, key_of(study), trial)

        patiently(insert)


def next_number(study: optuna.Study) -> int:
    """The number that a study's next trial gets. Raises StorageError."""
    with storage_errors(f"the trials of the study {study.study_name!r} cannot be counted"):
        if (database := database_of(study)) is not None:
            return patiently(partial(count_trials, database, study_id_of(study)))
        return len(study.get_trials(deepcopy=False))


def records(study: optuna.Study, trial_ids: Collection[int] | None = None) -> list[Record]:
    """The finished trials of hnas, by number, without trials of other programs.

    With `trial_ids`, of a study in a database, only those trials. Raises StorageError.
    """
    trials: Sequence[TrialRow | FrozenTrial]
    with storage_errors(f"the trials of the study {study.study_name!r} cannot be read"):
        if (database := database_of(study)) is not None:
            trials = patiently(partial(trial_rows, database, study_id_of(study), trial_ids))
        else:
            trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return list(records_of(trials))


def records_of(trials: Sequence[TrialRow | FrozenTrial]) -> tuple[Record, ...]:
    """The records of hnas among finished trials. Raises RowError if one is damaged."""
    found = tuple(_record(trial) for trial in trials if ARCH in trial.user_attrs)
    if twice := [n for n, count in Counter(r.number for r in found).items() if count > 1]:
        raise RowError(f"trial {twice[0]} is there twice. {CHANGED}")
    return found


def _record(trial: TrialRow | FrozenTrial) -> Record:
    attrs: dict[str, Any] = trial.user_attrs
    if missing := [name for name in SCORE if name not in attrs]:
        raise RowError(
            f"trial {trial.number} was told without the attributes {', '.join(missing)}: a program "
            "that scores must set them before it tells. A finished trial cannot be mended: mend "
            "the program, delete the study and search it again"
        )
    try:
        record = Record(
            number=trial.number,
            generation=trial.system_attrs[GENERATION],
            arch=arch_of(attrs),
            accuracy=trial.values[0],
            error=attrs.get(ERROR),
            right=attrs.get(RIGHT),
            **{name: attrs[name] for name in SCORE},
            **vars(spent_of(attrs)),
        )
        _check(record)
    except DAMAGE as error:
        raise RowError(
            f"trial {trial.number} is damaged: {type(error).__name__}: {error}. {CHANGED}"
        ) from None
    return record


def _check(record: Record) -> None:
    """Raises ValueError if a number of a record cannot be one of a trial."""
    for name in ("number", "generation", "macs", "params", *_known(record, "latency")):
        if type(count := getattr(record, name)) is not int or not 0 <= count < LARGEST:
            raise ValueError(f"{name} must be a count, got {count!r}")
    for name in ("accuracy", *SCORE, *_known(record, "error")):
        if type(value := getattr(record, name)) not in (int, float) or not math.isfinite(value):
            raise ValueError(f"{name} must be a finite number, got {value!r}")
    if not isinstance(record.right, str | None):
        raise ValueError(f"{RIGHT} must be text, got {record.right!r}")
    if not 0 <= record.accuracy <= 1:
        raise ValueError(f"accuracy must be 0 to 1, got {record.accuracy}")


def _known(record: Record, name: str) -> tuple[str, ...]:
    """The name of an attribute that a record may have, if it has it."""
    return () if getattr(record, name) is None else (name,)
