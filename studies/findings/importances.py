"""Importances of a study's parameters for its scores, by Optuna's evaluators.

If every trial has every parameter and there are at most FANOVA_TRIALS, fANOVA (Hutter et al., ICML
2014): the share of the score's variance, 0 to 1, that a parameter explains by itself; the rest to 1
is interaction and noise. Otherwise PED-ANOVA (2304.10255), which is quick and, in Optuna 5
(2601.20800), handles parameters that only some trials have: the distance of the best tenth's values
from those of all trials, a divergence without an upper end.

A size that a block does not use (`hnas.studies.trials.encoding` stores its first candidate) is not
a parameter of that trial here, because it has no influence.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)

from hnas.architecture.space import Space
from hnas.studies.trials.encoding import distributions, used
from hnas.studies.trials.record import Record
from hnas.studies.trials.study import quiet

FANOVA_TRIALS = 1000
"""More trials take fANOVA minutes."""
TREES = 16
"""Of fANOVA's forest: with 64, Optuna's own number, the shares on digits differ by 0.02 at most."""
LEAST = 20
"""Fewer trials say nothing: PED-ANOVA's best tenth would be one trial."""
SHUFFLED = 100
"""Least importances under shuffled scores that measure chance."""


@dataclass(frozen=True, kw_only=True)
class Importances:
    """The importance of every parameter of a study for the score."""

    method: str
    """`fANOVA` or `PED-ANOVA`."""
    values: dict[str, float]
    """By parameter (`b01.G`), the most important first."""
    chance: float
    """The importance that a parameter exceeds once in twenty with shuffled scores."""


def importances(space: Space, records: Sequence[Record], *, seed: int = 0) -> Importances | None:
    """The importances for the score; None with fewer than LEAST trials, no choice or one score."""
    free = distributions(space)
    scores = np.array([record.accuracy for record in records])
    if len(records) < LEAST or not free or np.ptp(scores) == 0:
        return None
    params = [used(space, record.arch) for record in records]
    whole = all(len(one) == len(free) for one in params)
    evaluator: BaseImportanceEvaluator
    if whole and len(records) <= FANOVA_TRIALS:
        method, evaluator = "fANOVA", FanovaImportanceEvaluator(n_trees=TREES, seed=seed)
    else:
        method, evaluator = "PED-ANOVA", PedAnovaImportanceEvaluator()

    def measured(values: Sequence[float]) -> dict[str, float]:
        with quiet():
            study = optuna.create_study(direction="maximize")
            for one, value in zip(params, values, strict=True):
                trial = optuna.trial.create_trial(
                    value=value, params=one, distributions={name: free[name] for name in one}
                )
                study.add_trial(trial)
            found = get_param_importances(study, evaluator=evaluator, normalize=False)
        return {name: float(share) for name, share in found.items()}

    rng = np.random.default_rng(seed)
    shuffles = math.ceil(SHUFFLED / len(free))
    shuffled = (rng.permutation(scores).tolist() for _ in range(shuffles))
    by_chance = [value for one in shuffled for value in measured(one).values()]
    return Importances(
        method=method,
        values=measured(scores.tolist()),
        chance=float(np.quantile(by_chance, 0.95)),
    )
