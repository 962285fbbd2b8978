"""A step's batch in micro-batches of one size, dealt to processes; gradients in one fixed order.

A micro-batch is what a network sees at a time: BatchNorm's statistics are its own, and so are the
draws of augmentation, mixing and dropout. So nothing depends on how many processes there are.
"""

from collections.abc import Callable
from contextlib import closing

from torch import Tensor, nn

from hnas.settings import TrainingRules
from hnas.training.buckets import Buckets, backwards, taken
from hnas.training.losses import StepLosses
from hnas.training.processes import World


def count(rules: TrainingRules, batch: int) -> int:
    """Micro-batches in a step of `batch` images, at least one; a remainder is dropped."""
    return max(1, batch // rules.micro_batch) if rules.micro_batch else 1


def take(index: Tensor, number: int, of: int) -> Tensor:
    """The images (batch / of,) of one micro-batch of a step's (batch,).

    Every `of`-th: an image that is drawn several times in a row comes to as many micro-batches.
    """
    return index[: len(index) // of * of][number::of]


def seed(of_training: int, step: int, number: int) -> int:
    """A micro-batch's own 63-bit seed (splitmix64's multipliers keep neighbours apart)."""
    of_step = of_training * 0x9E3779B97F4A7C15 ^ (step + 1) * 0xBF58476D1CE4E5B9
    return (of_step ^ number * 0x94D049BB133111EB) & (2**63 - 1)


def gradients(
    model: nn.Module,
    count: int,
    world: World,
    losses: Callable[[int, Callable[[], None]], Tensor],
    step: StepLosses,
) -> Tensor:
    """Leaves the mean gradient over a step's `count` micro-batches in `model`. Returns the losses
    (passes,), each the mean over the micro-batches.

    `losses(number, begin)` adds the gradient of one of them, divided by `count`, and returns its
    losses, divided by it too; before its last backward pass it calls `begin`. Sums are taken of
    pairs, of pairs of pairs and so on: `World.begin_sum` continues that, in float32. Weights
    without a gradient have none in any process, and none after.
    BatchNorm's running statistics move once a step, by the mean of the micro-batches' statistics.
    """
    mine = world.share(count)
    if count == 1:
        lost = losses(0, _nothing)
        step.give_back([leaf.grad for leaf in step.leaves])
        return lost
    kept = [buffer.clone() for buffer in model.buffers()]
    moving = [buffer for buffer in model.buffers() if buffer.is_floating_point()]
    own, leaves = list(model.parameters()), list(step.leaves)
    order = backwards([*own, *leaves])

    def one(number: int, begin: Callable[[], None]) -> list[Tensor]:
        for buffer, before in zip(model.buffers(), kept, strict=True):
            buffer.copy_(before)
        lost = losses(number, begin)
        return [*(buffer / count for buffer in moving), lost]

    def total(first: int, end: int) -> Tensor:
        if end - first == 1:
            return taken(order, one(first, _nothing))
        middle = (first + end) // 2
        return total(first, middle).add_(total(middle, end))

    first, before = mine.start, list[Tensor]()
    while mine.stop - first > 1:
        middle = (first + mine.stop) // 2
        before.append(total(first, middle))
        first = middle
    with closing(Buckets(order, before, world)) as buckets:
        whole, rest = buckets.end(one(first, buckets.begin))
    for weight in own:
        weight.grad = whole.get(weight)
    step.give_back([whole.get(leaf) for leaf in leaves])
    for buffer in moving:
        mean, rest = rest.split([buffer.numel(), len(rest) - buffer.numel()])
        buffer.copy_(mean.view_as(buffer))
    return rest


def _nothing() -> None:
    """Of what is not sent nothing begins."""
