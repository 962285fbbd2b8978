"""A plan for pretrained weights: their network, in the images of the plan, fine-tuned."""

from dataclasses import dataclass, replace

from hnas.architecture.arch import Block
from hnas.architecture.space import Frame
from hnas.settings import DistillationRules, PretrainedRules, TrainingRules
from hnas.studies.plan.plan import Plan


@dataclass(frozen=True, kw_only=True)
class Start:
    """A pretrained network, all of whose blocks are the same, and all-global."""

    file: str
    frame: Frame
    block: Block
    mean: tuple[float, ...]
    """Of each channel, 0 to 1, as its images were normalised."""
    std: tuple[float, ...]
    taken: tuple[str, ...] = ()
    """What was assumed of it, each in a few words."""

    def within(self, frame: Frame) -> Frame:
        """Its frame, with the image, patch, classes and local heads of another."""
        others = ("image", "patch", "classes", "local")
        return replace(self.frame, **{name: getattr(frame, name) for name in others})


LEAST_EPOCHS = 10
"""Of a supernet that is fine-tuned: a third of those from random weights, but no fewer."""


def fine_tuned(plan: Plan, start: Start) -> Plan:
    """A plan whose `net` is `start.within` it, begun with the start's weights.

    Sizes go from those of the weights downwards: larger ones would be random. The weights have no
    local heads: kernels stay those of the plan, expansions are small.
    """
    d_k, d_z = start.block.d_k, start.block.d_z
    assert d_k is not None
    half = [d_k // 2] if d_k // 2 % (plan.net.N * plan.net.heads) == 0 else []
    s1, s2, retrain = plan.stage1, plan.stage2, plan.retrain
    return replace(
        plan,
        data=replace(plan.data, mean=start.mean, std=start.std),
        pretrained=PretrainedRules(file=start.file),
        stage1=replace(s1, d_k=d_k, d_z=d_z, training=_gentle(s1.training)),
        stage2=replace(
            s2,
            d_k=(*half, d_k),
            d_z=tuple(range(1, d_z + 1)),
            E=(1, 2),
            training=_gentle(s2.training),
        ),
        retrain=replace(
            retrain,
            training=replace(_gentle(retrain.training), head_warmup=0.0, keep="best"),
            distillation=DistillationRules(),  # a CNN from scratch knows less
        ),
    )


def _gentle(training: TrainingRules) -> TrainingRules:
    epochs = min(training.epochs, max(LEAST_EPOCHS, training.epochs // 3))
    return replace(
        training,
        epochs=epochs,
        lr=training.lr / 2,
        layer_decay=0.75,
        head_warmup=0.1,
        mixup=0.0,
    )
