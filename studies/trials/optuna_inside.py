"""Optuna's private parts: no other file imports them, and no other room touches them.

They may change with any release: `optuna>=5,<6` is pinned, and the tests of this room compare what
hnas does with them with what Optuna's public functions do.
"""

from typing import Self

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna._hypervolume import compute_hypervolume
from optuna.samplers import BaseGASampler, BaseSampler
from optuna.storages import BaseStorage, RDBStorage
from optuna.storages._rdb import models as models
from optuna.study._multi_objective import _is_pareto_front


def hypervolume(losses: NDArray[np.float64], reference: NDArray[np.float64]) -> float:
    """The volume between a front of losses (points, objectives), all of them minimised, and
    `reference`, which none of them exceeds."""
    return float(compute_hypervolume(losses, reference, assume_pareto=True))


def on_front(losses: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which rows no other row dominates; of equal rows the first. The rows are in lexical order."""
    return _is_pareto_front(losses, assume_unique_lexsorted=True)


class KnownStudy(optuna.Study):
    """A study that is known by more than its id."""

    identity: str | None = None

    @classmethod
    def of(cls, study: optuna.Study, identity: str | None) -> Self:
        """The study, with its `hnas.studies.trials.writing.IDENTITY`."""
        known = cls(study.study_name, study._storage, study.sampler, study.pruner)
        known.identity = identity
        return known


def study_id_of(study: optuna.Study) -> int:
    """The id of a study in its storage."""
    return study._study_id


def storage_of(study: optuna.Study) -> BaseStorage:
    """The storage that a study uses, which may hold a cache of its database."""
    return study._storage


def database_of(study: optuna.Study) -> RDBStorage | None:
    """The database of a study; None if the study is kept elsewhere, as in memory."""
    storage = getattr(study._storage, "_backend", study._storage)
    return storage if isinstance(storage, RDBStorage) else None


def generation_key(sampler: BaseSampler) -> str | None:
    """The system attribute of a trial in which an evolutionary sampler keeps its generation; None
    if the sampler knows no generations."""
    return sampler._get_generation_key() if isinstance(sampler, BaseGASampler) else None
