"""How many held-out images a score needs: what ImageNet's 12,800 lose to SPOS's 50,000.

    python -m benchmarks.ranking.images

Every architecture of a small space was scored with the same supernet on some images, and on twice
as many, the first among them (results/inherited_NAME.jsonl). So there are scores on two halves: the
correlation r of these, over the architectures, is the reliability of a score on one half. By the
formula of Spearman and Brown that on k times as many images is k r / (1 + (k - 1) r), and its root
is the correlation with a score on endlessly many. Nothing is trained, and no weights are needed.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.ranking.inherited import Scored, inherited
from benchmarks.ranking.small_spaces import MEASURED

ASKED = (1_000, 12_800, 50_000)
"""Held-out images."""


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Of scores with one supernet."""

    half: int
    """Images of a half."""
    between: float
    """Correlation of the scores on both halves."""

    def with_endless(self, images: int) -> float:
        """Correlation of a score on so many images with one on endlessly many; 0 if the halves do
        not agree at all."""
        k = images / self.half
        return max(0.0, k * self.between / (1 + (k - 1) * self.between)) ** 0.5


def reliabilities(scored: Sequence[Scored]) -> list[Reliability]:
    """Of each scoring on half of the images that there are, in any way of recalibration."""
    most = max(one.held_out for one in scored)
    found = []
    for half, whole in itertools.product(scored, scored):
        same = (half.rule, half.seed, half.recalibration) == (
            whole.rule,
            whole.seed,
            whole.recalibration,
        )
        if same and whole.held_out == most and half.held_out == most // 2:
            first, both = (np.array(one.accuracy) * one.held_out for one in (half, whole))
            between = float(np.corrcoef(first, both - first)[0, 1])
            found.append(Reliability(half=half.held_out, between=between))
    return found


def line(name: str, found: Sequence[Reliability]) -> str:
    """A row of Markdown: the median over the supernets, and the lowest and highest."""
    cells = [f"{name}, {len(found)} scorings of {found[0].half} + {found[0].half} images"]
    for images in ASKED:
        values = [one.with_endless(images) for one in found]
        low, high = min(values), max(values)
        cells.append(f"{statistics.median(values):.3f} ({low:.3f} to {high:.3f})")
    return f"| {' | '.join(cells)} |"


def main() -> None:
    print(f"| | {' | '.join(f'{images:,}' for images in ASKED)} |")
    print("|---" * (1 + len(ASKED)) + "|")
    for ground in MEASURED:
        print(line(ground.name, reliabilities(inherited(ground))))


if __name__ == "__main__":
    main()
