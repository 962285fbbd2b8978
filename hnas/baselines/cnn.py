"""A small residual CNN trained as one would without a search."""

from collections.abc import Callable

from hnas.baselines.record import Baseline
from hnas.data import Data, Images
from hnas.network.cnn import Cnn
from hnas.scoring.score import evaluate
from hnas.settings import AugmentRules, TrainingRules
from hnas.training.loop import Context, Epoch, train

NAME = "small CNN"


def small_cnn(
    data: Data,
    test: Images,
    alone: TrainingRules,
    last: TrainingRules | None,
    augmentation: AugmentRules,
    *,
    seed: int,
    metric: str = "accuracy",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Baseline:
    """Trains the CNN from a seed on training images, then, if there are `last` rules, on held-out
    images too, and tests it.

    Data and test are on one device. Raises InputError if an image is smaller than 8 pixels.
    """
    _, channels, image, _ = data.train.pixels.shape
    net = Cnn(image=image, channels=channels, classes=len(data.classes)).reset(seed)
    net.to(data.train.pixels.device)
    context = Context(on_epoch=on_epoch)
    train(net, data, alone, augmentation, seed=seed, context=context)
    held_out = evaluate(net, data.held_out, data, batch=512, metric=metric)
    if last:
        data = data.with_held_out()
        train(net, data, last, augmentation, seed=seed + 1, context=context)
    tested = evaluate(net, test, data, batch=512, metric=metric)
    return Baseline(
        name=NAME,
        setting=f"{alone.epochs + (last.epochs if last else 0)} epochs",
        images=len(data.train),
        accuracy=held_out.accuracy,
        test_accuracy=tested.accuracy,
        test_error=tested.error,
    )
