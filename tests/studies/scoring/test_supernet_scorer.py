import numpy as np
import torch

from hnas.architecture.space import Frame, distribution_space
from hnas.data import Data, Images
from hnas.network.supernet import Supernet
from hnas.settings import ScoreRules
from hnas.studies.scoring.supernet_scorer import SupernetScorer

FRAME = Frame(image=8, channels=1, patch=4, classes=2, d=12, M=2, N=3)


def images(n: int) -> Images:
    pixels = torch.arange(n * 64).view(n, 1, 8, 8) % 256
    return Images(pixels=pixels.to(torch.uint8), labels=torch.arange(n) % 2)


def test_where_memory_runs_out_a_person_is_told_once_a_study():
    data = Data(
        train=images(4), held_out=images(16), classes=("a", "b"),
        mean=torch.tensor([0.5]), std=torch.tensor([0.3]),
    )  # fmt: skip
    net = Supernet(distribution_space(FRAME, d_k=12, d_z=2, E=1, K=3)).reset(0)

    def refuse(module: torch.nn.Module, args: tuple) -> None:
        if len(args[0]) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory")

    net.blocks[1].register_forward_pre_hook(refuse)
    notes: list[str] = []
    rules = ScoreRules(recalibration=4, batch=16)
    scorer = SupernetScorer(net, data, rules, notes.append)
    arch = net.space.sample(np.random.default_rng(0))
    first, second = list(scorer.score([arch])), list(scorer.score([arch]))
    assert first[0].loss == second[0].loss
    assert [note.split(":")[0] for note in notes] == ["scoring ran out of memory"] * 2
    assert scorer.fingerprint["batch"] == "16"  # what was asked: scores are as comparable
