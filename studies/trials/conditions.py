"""Conditions of a study: what all its trials have in common, as its attributes.

Trials are compared with each other under equal conditions alone, so a study keeps the conditions
that it began with and refuses others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import optuna

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space
from hnas.cost.latency_table import LatencyTable
from hnas.errors import InputError, MismatchError, RowError
from hnas.persist.difference import differences, listed
from hnas.persist.record import as_json, later, restored
from hnas.studies.objective.costs import Costs
from hnas.studies.trials.database import CHANGED, storage_errors
from hnas.studies.trials.queue import withdraw
from hnas.studies.trials.study import set_attribute, study_attributes


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """The conditions of one study; each field that is not None is an attribute of that name."""

    space: Space
    scorer: Mapping[str, str]
    """Fingerprint of the scorer: weights, held-out images, recalibration."""
    budget: int | None = None
    """Most multiply-accumulates of one image; None: any."""
    convention: str = later("exact")
    """How `budget` counts them."""
    objective: str
    latency_bound: int | None = None
    """Most nanoseconds of a batch; None: any."""
    params_bound: int | None = later(None)
    """Most learned parameters; None: any."""
    latency_table: str | None = None
    """Digest of the table of latencies; None without one."""
    seed: int
    population: int
    """Trials a generation."""
    proposer: str
    start: tuple[Arch, ...] = later(())
    """Architectures that generation 0 begins with."""

    def costs(self, table: LatencyTable | None) -> Costs:
        """What was minimised and allowed, by the study's table."""
        return Costs(
            frame=self.space.frame,
            objective=self.objective,
            flops=self.budget,
            convention=self.convention,
            params=self.params_bound,
            latency=self.latency_bound,
            table=table,
        )


def read_conditions(study: str, attrs: Mapping[str, Any]) -> Conditions:
    """The conditions of a study by its name and attributes: the inverse of `as_json`.

    Raises RowError if it does not say them.
    """
    names = {f.name for f in fields(Conditions)}
    try:
        return restored(Conditions, {k: value for k, value in attrs.items() if k in names})
    except InputError as error:
        raise RowError(
            f"the study {study!r} does not say what it searches: {error}. Its attributes were "
            "written by another version, or were deleted. Restore them"
        ) from None


def conditions_of(study: optuna.Study) -> Conditions:
    """The conditions of a study, as they are now. Raises RowError, StorageError."""
    with storage_errors(f"the study {study.study_name!r} cannot be read"):
        return read_conditions(study.study_name, study.user_attrs)


def scorer_of(study: optuna.Study) -> dict[str, str]:
    """The fingerprint of the scorer that a study asks for, as it is now. Raises as
    `conditions_of`."""
    return asked_of(study)[0]


def asked_of(study: optuna.Study) -> tuple[dict[str, str], str]:
    """`scorer_of` and the objective of a study, which is quicker than all conditions. Raises as
    `conditions_of`."""
    with storage_errors(f"the study {study.study_name!r} cannot be read"):
        attrs = study_attributes(study, ("scorer", "objective"))
    for name, kind in (("scorer", dict), ("objective", str)):
        if not isinstance(value := attrs.get(name), kind):
            raise RowError(
                f"the study {study.study_name!r} has a damaged attribute {name!r}: it must be a "
                f"{kind.__name__}, got {value!r}. {CHANGED}"
            )
    return dict(attrs["scorer"]), attrs["objective"]


def keep_conditions(study: optuna.Study, asked: Conditions, *, new: bool) -> None:
    """Writes the conditions of a `new` study, one without trials; compares those of another.

    Raises MismatchError, naming what differs, StorageError.
    """
    values = as_json(asked)
    with storage_errors(f"the study {study.study_name!r} cannot be used"):
        stored = study.user_attrs
        if new:
            if any(stored.get(name, value) != value for name, value in values.items()):
                withdraw(study)  # the queue was proposed under the other conditions
            for name, value in values.items():
                if stored.get(name) != value:
                    set_attribute(study, name, value)
            return
    names = [f.name for f in fields(Conditions)]
    found = differences(*({name: those.get(name) for name in names} for those in (stored, values)))
    if found:
        raise MismatchError(
            f"the trials of the study {study.study_name!r} cannot be compared with the ones asked "
            f"for, these must be the same:\n{listed(found)}\n"
            "Ask for what is stored, or for a new study next to this one: hnas search --rescore"
        )
