"""NSGA-II (Deb et al. 2002), as Optuna has it: children of the best by accuracy and costs.

The parents of a generation are the `population` best of the last one and its parents, by front,
then by crowding distance.
"""

from optuna.samplers import NSGAIISampler

from hnas.studies.proposers.optuna_sampler import proposer_of


def _make(population: int, seed: int) -> NSGAIISampler:
    return NSGAIISampler(population_size=population, seed=seed)


NSGA2 = proposer_of("nsga2", _make)
"""More accurate and cheaper, all at once."""
