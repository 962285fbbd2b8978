"""Training a supernet: the subnets that a rule draws see each step's images."""

from collections.abc import Iterator, Sequence

import torch.nn.functional as F
from torch import Tensor

from hnas.data import Data
from hnas.network.borrowed import Borrowed
from hnas.network.precision import casts
from hnas.network.supernet import Supernet
from hnas.sampling import RULES
from hnas.settings import AugmentRules, TrainingRules
from hnas.training.loop import Context, train
from hnas.training.losses import StepLosses, by_labels


def train_supernet(
    net: Supernet,
    data: Data,
    rules: TrainingRules,
    augmentation: AugmentRules,
    *,
    seed: int,
    context: Context | None = None,
) -> None:
    """Trains `net` in place, its subnets drawn by `rules.subnets`."""
    rule, loss_of = RULES[rules.subnets], by_labels(data, rules)

    dtype = casts(net)

    def losses(step: int) -> StepLosses:
        archs = rule.draw(net.space, seed=seed, step=step)
        subnets = [Borrowed(net, arch, dtype) for arch in archs]

        def of(images: Tensor, targets: Tensor) -> Iterator[Tensor]:
            answer: Tensor | None = None
            for subnet in subnets:
                logits = subnet(images).float()
                if answer is None:
                    yield loss_of(logits, targets)
                    answer = logits.detach().softmax(dim=-1) if rule.distils else None
                else:
                    yield F.cross_entropy(logits, answer)

        def give_back(found: Sequence[Tensor | None]) -> None:
            gradients = iter(found)
            for subnet in subnets:
                subnet.give_back(gradients)

        leaves = [weight for subnet in subnets for weight in subnet.leaves()]
        return StepLosses(of=of, leaves=leaves, give_back=give_back)

    passes = rule.passes(net.space)
    train(net, data, rules, augmentation, seed=seed, losses=losses, passes=passes, context=context)
