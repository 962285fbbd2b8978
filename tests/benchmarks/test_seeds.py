"""Whether searches of other seeds score networks alike."""

import numpy as np

from benchmarks.ranking.seeds import compared
from hnas.architecture.arch import Arch, Block
from hnas.studies.trials.record import Record

KINDS = (
    Block(G=3, L=0, d_k=48, d_z=4),
    Block(G=1, L=2, d_k=48, d_z=4, E=1, K=17),
    Block(G=0, L=3, d_k=None, d_z=4, E=1, K=17),
)


def run(seed: int, worth: np.ndarray) -> list[Record]:
    """60 distributions of six blocks, scored by what each block is worth, with some noise."""
    rng = np.random.default_rng(seed)
    trials = []
    for i in range(60):
        kinds = rng.integers(len(KINDS), size=6)
        accuracy = 0.5 + worth[np.arange(6), kinds].sum() / 100 + rng.normal(0, 0.005)
        arch = Arch(tuple(KINDS[kind] for kind in kinds))
        trials.append(
            Record(
                number=i, generation=0, arch=arch, accuracy=accuracy, loss=1 - accuracy,
                macs=1, params=1, seconds=0.1,
            )
        )  # fmt: skip
    return trials


def test_runs_that_agree_and_runs_that_only_agree_with_themselves() -> None:
    worths = np.random.default_rng(0).normal(size=(4, 6, 3))
    alike = compared({f"{i}": run(i, worths[0]) for i in range(3)}, N=3)
    assert [row["score"] for row in alike] == ["accuracy", "loss"]
    apart = compared({f"{i}": run(i, worths[i]) for i in range(1, 4)}, N=3)
    for one, other in zip(alike, apart, strict=True):
        assert min(*one["own R2"], *other["own R2"]) > 0.7
        assert one["mean tau"] > 0.7 and abs(other["mean tau"]) < 0.4
        assert len(one["tau of others"]) == 6
