"""Parents of the next generation, kept in a study: a search that resumes need not select all anew.

They follow from the trials, so they are kept for speed alone, and left aside if they do not fit.
"""

from collections.abc import Mapping, Sequence

import optuna

from hnas.studies.trials.database import storage_errors
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import set_attribute

PARENTS = "parents"
"""Attribute of a study: a generation that is complete, and the numbers of its parents."""


def keep_parents(study: optuna.Study, generation: int, parents: Sequence[Record]) -> None:
    """Keeps what the generation after this one is proposed from. Raises StorageError."""
    value = {"generation": generation, "trials": sorted(parent.number for parent in parents)}
    with storage_errors(f"the parents of {study.study_name!r} cannot be stored"):
        set_attribute(study, PARENTS, value)


def kept_parents(
    study: optuna.Study, generations: Mapping[int, Sequence[Record]], population: int
) -> tuple[int, list[Record]]:
    """The last generation whose parents were kept, and these; -1 and none if there are none, or if
    a trial of these generations is missing. Raises StorageError."""
    with storage_errors(f"the parents of {study.study_name!r} cannot be read"):
        value = study.user_attrs.get(PARENTS)
    match value:
        case {"generation": int(last), "trials": [*numbers]} if 0 <= last < len(generations):
            before = [generations.get(number, ()) for number in range(last + 1)]
            whole = all(len(members) == population for members in before)
            parents = [one for members in before for one in members if one.number in numbers]
            if whole and len(parents) == len(numbers):
                return last, parents
    return -1, []
