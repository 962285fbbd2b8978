"""Settings of data, training and scoring, as frozen records without torch.

One record is one table of a plan; each raises InputError at once if a value breaks its rule.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from hnas.errors import InputError
from hnas.machine import PRECISIONS
from hnas.persist.record import later
from hnas.sampling import RULES as SUBNETS

CODE = re.compile(r"([A-Za-z_][\w.]*):([A-Za-z_]\w*)")
"""How a value names code of the user's own: `module:function`."""


METRICS = {
    "accuracy": "accuracy",
    "balanced": "balanced accuracy",
    "top5": "top-5 accuracy",
    "f1": "mean F1",
}
"""What a score may measure (`hnas.scoring.metric`), in words."""

BACKGROUNDS = ("white", "grey", "black")
"""What transparent images are laid on. `hnas.data.decode` has it and the next again: that stands in
exported files, and needs nothing of hnas."""
INTERPOLATIONS = ("bilinear", "bicubic")
LOCAL_STARTS = ("fitted", "silent", "random")
CUTS = ("large", "first")
OUTSIDES = ("black", "mean")
INITIALS = ("glorot", "deit")
KEPT = ("last", "best")
CLASS_WEIGHTS = ("none", "balanced")
LESSONS = ("hard", "soft", "soft-deit")

OWN_TEACHER = "cnn"
"""The teacher that is trained, not brought."""


def _check(holds: bool, name: str, rule: str, value: object) -> None:
    if not holds:
        raise InputError(f"{name} must be {rule}, got {value!r}")


def _check_word(known: Collection[str], name: str, value: str) -> None:
    _check(value in known, name, f"one of {', '.join(known)}", value)


@dataclass(frozen=True, kw_only=True)
class DataRules:
    """Images of a search, and how they are split in three."""

    source: str = "digits"
    """`digits`, a folder (IDX, CIFAR binary or class folders), the name of a folder in $HNAS_DATA
    (or ./data), or `module:function`."""
    held_out: float = 0.2
    """Share of the training part that scores are measured on; never trained on."""
    test: float = 0.2
    """Share kept for the final test, if the source has no test part of its own."""
    limit: int = 0
    """At most so many images are taken from the source's training part, the same share of every
    class; 0 takes all."""
    skip_bad_images: bool = later(False)
    """Leave out files of class folders that cannot be decoded, and count them; else they are an
    error."""
    background: str = later("white")
    """What transparent images are laid on: `white`, `grey` or `black`."""
    interpolation: str = later("bilinear")
    """How images are resized: `bilinear` or `bicubic`, which is sharper."""
    crop_pct: float = later(1.0)
    """Share of a picture's shorter side that is seen, in its middle; 1: the whole centre square.
    0.875 is DeiT's. Random crops of a pack of whole pictures (docs/imagenet.md) see all of it."""
    mean: tuple[float, ...] = later(())
    """Of each channel, 0 to 1, subtracted from all images; empty: that of the training images."""
    std: tuple[float, ...] = later(())
    """By which they are divided then; empty: the training images' standard deviation."""

    def __post_init__(self) -> None:
        _check(bool(self.source), "source", "a name or a path", self.source)
        _check(0 < self.held_out < 1, "held_out", "a share between 0 and 1", self.held_out)
        _check(0 < self.test < 1, "test", "a share between 0 and 1", self.test)
        _check(self.limit >= 0, "limit", ">= 0", self.limit)
        _check_word(BACKGROUNDS, "background", self.background)
        _check_word(INTERPOLATIONS, "interpolation", self.interpolation)
        _check(0.1 <= self.crop_pct <= 1, "crop_pct", "a share, 0.1 to 1", self.crop_pct)
        _check(all(0 <= v <= 1 for v in self.mean), "mean", "0 to 1", list(self.mean))
        _check(all(v > 0 for v in self.std), "std", "above 0", list(self.std))
        rule = f"as many as mean has ({len(self.mean)})"
        _check(len(self.std) == len(self.mean), "std", rule, list(self.std))


@dataclass(frozen=True, kw_only=True)
class PretrainedRules:
    """Weights from elsewhere that a search begins with."""

    file: str = ""
    """Weights of a ViT as `hnas import` reads them, or a network of hnas without local heads; net
    must be theirs but for image, patch, classes and fewer blocks. Empty: random weights."""
    local: str = "fitted"
    """How local heads begin: `fitted` to what attention gives on training images, `silent` (they
    add nothing), or `random`."""
    keep: str = "large"
    """What a cut keeps of heads and of the rows of FFNs, queries, keys and values: those of `large`
    norm, or the `first`."""

    def __post_init__(self) -> None:
        _check_word(LOCAL_STARTS, "local", self.local)
        _check_word(CUTS, "keep", self.keep)


@dataclass(frozen=True, kw_only=True)
class AugmentRules:
    """Augmentation of training images; every image of a batch draws its own."""

    shift: int = 0
    """Largest shift in pixels, both ways (zero padding, then a random crop)."""
    flip: bool = False
    """Mirror left to right with probability 1/2."""
    rotate: float = 0.0
    """Largest rotation in degrees, both ways."""
    erase: float = 0.0
    """Probability of erasing a random rectangle (Random Erasing, 1708.04896)."""
    erase_noise: bool = later(False)
    """Whether an erased rectangle becomes random pixels, as in the paper; else black."""
    crop: float = later(1.0)
    """Smallest share of an image's area that a random crop of aspect 3/4 to 4/3 takes, resized back
    (bicubic); 1 crops nothing."""
    randaugment: float = later(0.0)
    """Magnitude of RandAugment (1909.13719), 0 to 10; 0 does nothing."""
    randaugment_std: float = later(0.5)
    """Standard deviation of the magnitude of each operation."""
    randaugment_ops: int = later(2)
    """Operations that an image draws of 15, each done with probability 1/2."""
    randaugment_outside: str = later("black")
    """The colour that they draw outside an image: `black`, or `mean`, that of the training images,
    as DeiT."""
    jitter: float = later(0.0)
    """Largest change of an image's contrast, as a share, both ways; each channel's brightness
    changes by up to a quarter of it, in units of the full range."""

    def __post_init__(self) -> None:
        _check(self.shift >= 0, "shift", ">= 0 pixels", self.shift)
        _check(0 <= self.rotate <= 180, "rotate", "0 to 180 degrees", self.rotate)
        _check(0 <= self.erase <= 1, "erase", "a probability", self.erase)
        _check(0 < self.crop <= 1, "crop", "a share of the area in (0, 1]", self.crop)
        _check(0 <= self.randaugment <= 10, "randaugment", "0 to 10", self.randaugment)
        _check(self.randaugment_std >= 0, "randaugment_std", ">= 0", self.randaugment_std)
        _check(self.randaugment_ops >= 1, "randaugment_ops", ">= 1", self.randaugment_ops)
        _check_word(OUTSIDES, "randaugment_outside", self.randaugment_outside)
        _check(0 <= self.jitter < 1, "jitter", "a share in [0, 1)", self.jitter)


@dataclass(frozen=True, kw_only=True)
class TrainingRules:
    """One training: AdamW, linear warm-up, cosine to zero (DeiT, 2012.12877, table 9)."""

    epochs: int
    """Passes over the training images."""
    batch: int = 128
    """Images of a step."""
    lr: float = 1e-3
    """Peak learning rate at this batch (not scaled by it)."""
    warmup: float = 0.05
    """Share of the steps in which the rate rises from zero."""
    weight_decay: float = 0.05
    """On weight matrices only: not on biases, norms, positions or a class token."""
    label_smoothing: float = 0.0
    """Share of a label that all classes get alike."""
    dropout: float = 0.0
    """After the activations of the FFN and the local head, where the paper has it."""
    drop_path: float = 0.0
    """Stochastic depth of the last block; rises linearly from 0 at the first."""
    ema: float = 0.0
    """Decay of averaged weights, in the first steps less: at most (1 + t) / (10 + t) after t steps.
    Kept are those that do better on held-out images, averaged or not; of a supernet the averaged
    ones. 0 averages nothing."""
    clip: float = 1.0
    """Largest norm of the gradient; 0 leaves it."""
    mixup: float = later(0.0)
    """Alpha of Mixup (1710.09412): images and labels are blended; 0 blends none."""
    cutmix: float = later(0.0)
    """Alpha of CutMix (1905.04899): a rectangle and its share of the label are another image's; 0
    cuts none. If both are on, each batch is mixed or cut with probability 1/2."""
    repeats: int = later(1)
    """Times that an image is drawn in a row, each augmented again (repeated augmentation,
    1902.05509); an epoch is as long, and sees so many times fewer images."""
    micro_batch: int = later(0)
    """Images that the network sees at a time, a divisor of `batch`: BatchNorm's statistics are of
    so many, a step's gradient is the mean over its micro-batches. 0 is the whole batch. Processes
    that train together share a batch by them (docs/imagenet.md)."""
    subnets: str = later("uniform")
    """The rule that draws a supernet's subnets for a step, of `hnas.sampling`."""
    keep: str = later("last")
    """The epoch whose weights are kept of a network trained alone: `last`, or `best` on held-out
    images (accuracy; of equals the lower loss)."""
    patience: int = later(0)
    """The training ends if the best epoch is so many epochs ago; 0: never. Needs `best`."""
    layer_decay: float = later(1.0)
    """The learning rate of a block, as a share of that of the block behind it (BEiT, 2106.08254):
    pretrained weights near the image change less. 1: all learn alike."""
    head_warmup: float = later(0.0)
    """Share of the steps in which the classifier learns alone."""
    initial: str = later("glorot")
    """How random weights are drawn: `glorot`, or `deit`, a normal of 0.02 for linear maps and
    nn.Conv's own for convolutions, as DeiT and GLiT's release (`hnas.network.initial`)."""
    class_weights: str = later("none")
    """`balanced`: an image of a rare class counts more in the loss, so that all classes have the
    same share of it; `none`: all images count alike."""

    precision: str = later("auto")
    """What matrix products are computed in, for scoring too: `auto`, `fp32` or `bf16`
    (`hnas.device.precision`). Weights stay in fp32."""
    compile: bool = later(False)
    """Whether blocks are compiled (torch.compile), for scoring too: the first steps take minutes,
    and last digits are others. Untried on a GPU."""

    def __post_init__(self) -> None:
        _check_word(SUBNETS, "subnets", self.subnets)
        _check_word(INITIALS, "initial", self.initial)
        _check_word(PRECISIONS, "precision", self.precision)
        _check(0 < self.layer_decay <= 1, "layer_decay", "in (0, 1]", self.layer_decay)
        _check(0 <= self.head_warmup < 1, "head_warmup", "a share in [0, 1)", self.head_warmup)
        _check_word(CLASS_WEIGHTS, "class_weights", self.class_weights)
        _check(self.epochs >= 1, "epochs", ">= 1", self.epochs)
        _check(self.batch >= 2, "batch", ">= 2 (BatchNorm needs two)", self.batch)
        divides = self.micro_batch > 1 and self.batch % self.micro_batch == 0
        rule = f"0 (the whole batch) or >= 2 and a divisor of batch={self.batch}"
        _check(self.micro_batch == 0 or divides, "micro_batch", rule, self.micro_batch)
        _check(self.lr > 0, "lr", "> 0", self.lr)
        _check(0 <= self.warmup < 1, "warmup", "a share of the steps in [0, 1)", self.warmup)
        _check(self.weight_decay >= 0, "weight_decay", ">= 0", self.weight_decay)
        for name in ("label_smoothing", "dropout", "drop_path", "ema"):
            value = getattr(self, name)
            _check(0 <= value < 1, name, "in [0, 1)", value)
        for name in ("clip", "mixup", "cutmix"):
            value = getattr(self, name)
            _check(value >= 0, name, ">= 0", value)
        _check_word(KEPT, "keep", self.keep)
        fits = self.patience == 0 or (self.patience > 0 and self.keep == "best")
        _check(fits, "patience", ">= 0, and 0 unless keep = 'best'", self.patience)
        _check(1 <= self.repeats <= self.batch, "repeats", f"1 to batch={self.batch}", self.repeats)


@dataclass(frozen=True, kw_only=True)
class DistillationRules:
    """Learning from a teacher too, by the logits that learn from the labels (DeiT, 2012.12877,
    section 4, but without a token of its own for the teacher)."""

    teacher: str = ""
    """A network that `hnas export` or `hnas import` wrote, or `module:function`; `cnn`: a small
    residual CNN that is trained first, on the same images, and if the plan refits teaches the last
    training alone; empty: none."""
    rule: str = "hard"
    """`hard`: cross entropy with the class the teacher gives most (equation 3); `soft`: divergence
    from all that it gives (equation 2), the mean over images; `soft-deit`: divided by the number
    of classes too, as DeiT's code does."""
    weight: float = 0.5
    """The teacher's share of the loss; the labels have the rest. 0.5 in equation 3; lambda in
    equation 2, where DeiT has 0.1."""
    temperature: float = 3.0
    """Tau of equation 2: what logits are divided by in `soft`."""
    stem: bool = later(False)
    """Whether a stem that is the first layers of the teacher `cnn` begins with their weights, if
    FLOPs alone are minimised: the all-global network then has the winner's width and stem. Means
    nothing without that teacher."""

    def __post_init__(self) -> None:
        _check_word(LESSONS, "rule", self.rule)
        _check(0 < self.weight <= 1, "weight", "a share in (0, 1]", self.weight)
        _check(self.temperature > 0, "temperature", "> 0", self.temperature)


@dataclass(frozen=True, kw_only=True)
class ScoreRules:
    """Scoring of a subnet with inherited weights."""

    recalibration: int = 32
    """Training images that each subnet's BatchNorm statistics are measured on, in one batch."""
    held_out: int = 0
    """At most so many held-out images; 0 takes all."""
    batch: int = 512
    """Held-out images at a time."""
    metric: str = later("accuracy")
    """What a score measures, on held-out and test images: one of METRICS, or `module:function`."""

    def __post_init__(self) -> None:
        rule = f"one of {', '.join(METRICS)}, or module:function"
        _check(
            self.metric in METRICS or bool(CODE.fullmatch(self.metric)), "metric", rule, self.metric
        )
        _check(self.recalibration >= 2, "recalibration", ">= 2 images", self.recalibration)
        _check(self.held_out >= 0, "held_out", ">= 0", self.held_out)
        _check(self.batch >= 1, "batch", ">= 1", self.batch)
