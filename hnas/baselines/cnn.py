"""A small residual CNN trained as one would without a search: what minutes of training give."""

from collections.abc import Callable

from hnas.baselines.record import Baseline
from hnas.data import Data, Images
from hnas.network.cnn import Cnn
from hnas.scoring.score import evaluate
from hnas.settings import AugmentRules, TrainingRules
from hnas.training.loop import Context, Epoch, train

NAME = "small CNN"
SEEN = 50_000
"""Images that it sees in training, repeats counted, in 10 to 80 epochs."""


def small_cnn(
    data: Data,
    test: Images,
    *,
    seed: int,
    metric: str = "accuracy",
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Baseline:
    """Trains the CNN from a seed on training images alone, as a search trains its networks, with
    random crops, flips of colour images, Mixup and label smoothing; then tests it.

    Data and test are on one device. Raises InputError if an image is smaller than 8 pixels.
    """
    n, (_, channels, image, _) = len(data.train), data.train.pixels.shape
    epochs = min(80, max(10, round(SEEN / n)))
    net = Cnn(image=image, channels=channels, classes=len(data.classes)).reset(seed)
    net.to(data.train.pixels.device)
    rules = TrainingRules(
        epochs=epochs,
        batch=min(64, max(2, n // 4)),
        lr=3e-3,
        warmup=0.1,
        label_smoothing=0.1,
        mixup=0.4,
    )
    augmentation = AugmentRules(crop=0.5, flip=channels == 3)
    train(net, data, rules, augmentation, seed=seed, context=Context(on_epoch=on_epoch))
    held_out, tested = (
        evaluate(net, part, data, batch=512, metric=metric) for part in (data.held_out, test)
    )
    return Baseline(
        name=NAME,
        setting=f"{epochs} epochs",
        images=n,
        accuracy=held_out.accuracy,
        test_accuracy=tested.accuracy,
        test_error=tested.error,
    )
