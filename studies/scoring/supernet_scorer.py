"""Scorer with weights inherited from a supernet, and the fingerprint of what it scores with."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

from torch import Tensor

from hnas.architecture.arch import Arch
from hnas.data import Data
from hnas.network.supernet import Supernet
from hnas.scoring.record import Score
from hnas.scoring.score import scores, select
from hnas.scoring.sharing import MemoryBudget
from hnas.settings import ScoreRules


class SupernetScorer:
    """A `hnas.studies.scoring.backend.Scorer`: nothing is trained, every weight is the supernet's.

    `note` gets a sentence about what it does without if memory runs out.
    """

    def __init__(
        self,
        net: Supernet,
        data: Data,
        rules: ScoreRules,
        note: Callable[[str], None] = lambda text: None,
    ) -> None:
        self._net, self._data, self._rules = net, data, rules
        self._memory = MemoryBudget(batch=rules.batch, note=note)

    @cached_property
    def fingerprint(self) -> dict[str, str]:
        recalibration, held_out = select(self._data, self._rules)
        found = {
            "supernet": weights_hash(self._net.state_dict()),
            "held-out images": held_out.fingerprint,
            "recalibration images": weights_hash({"pixels": recalibration}),
            "batch": str(self._rules.batch),
        }
        if self._rules.metric != "accuracy":
            found["metric"] = self._rules.metric
        return found

    def score(self, archs: Sequence[Arch]) -> Iterator[Score]:
        return scores(self._net, archs, self._data, self._rules, self._memory)


def weights_hash(tensors: Mapping[str, Tensor]) -> str:
    """Short SHA-256 of named tensors: names, shapes and every bit."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        digest.update(tensor.flatten().numpy().data)
    return digest.hexdigest()[:16]
