"""Networks by their identity, from which every process trains the same one."""

import math

from torch import nn

from hnas.architecture.space import Frame
from hnas.data import Data
from hnas.errors import MismatchError
from hnas.network.cnn import Cnn
from hnas.network.glit import Glit
from hnas.scoring.score import evaluate
from hnas.settings import OWN_TEACHER
from hnas.studies.run.networks import Identity
from hnas.studies.scoring.supernet_scorer import weights_hash
from hnas.training.distillation import Teacher, load_teacher
from hnas.training.judge import Judge
from hnas.training.loop import Context, train
from hnas.training.losses import supervised
from hnas.training.record import Held, Kept


def untrained(identity: Identity) -> Glit:
    """The network of an identity, with no weights yet."""
    rules = identity.training
    return Glit(identity.frame, identity.arch, dropout=rules.dropout, drop_path=rules.drop_path)


def train_network(
    net: Glit, data: Data, of: Identity, teacher: Teacher | None, *, seed: int, context: Context
) -> Kept | None:
    """Trains a network by the rules of its identity, and says which weights are kept."""
    distil = teacher.distil(of.distillation) if teacher and of.distillation else None
    losses = supervised(net, data, of.training, distil)
    return train(net, data, of.training, of.augment, seed=seed, losses=losses, context=context)


def judge_of(data: Data, *, batch: int, metric: str) -> Judge:
    """The judge of the data's held-out images, so many at a time, by a metric."""

    def judge(net: nn.Module) -> Held:
        found = evaluate(net, data.held_out, data, batch=batch, metric=metric)
        if not math.isfinite(found.accuracy):  # no weights that give no numbers are the best
            return Held(accuracy=0.0, loss=math.inf)
        return Held(accuracy=found.accuracy, loss=found.loss)

    return judge


def own_teacher(frame: Frame) -> Cnn:
    """The CNN for the images of a frame, with no weights yet. Raises InputError if they are too
    small for it."""
    return Cnn(image=frame.image, channels=frame.channels, classes=frame.classes)


def same_teacher(identity: Identity, data: Data, own: Teacher | None = None) -> Teacher | None:
    """The teacher that a network is made with, if any; `own` is the CNN, if this process has it.
    Raises MismatchError if this process has another."""
    if identity.distillation is None:
        return None
    name = identity.distillation.teacher
    found = own if own and name == OWN_TEACHER else load_teacher(name, data)
    if teacher_hash(found) != identity.teacher:
        raise MismatchError(
            f"the teacher {identity.distillation.teacher} is not the one of the first process: "
            "its weights are others. Give all machines the same files"
        )
    return found


def teacher_hash(teacher: Teacher) -> str:
    """The hash of a teacher's weights."""
    return weights_hash(teacher.module.state_dict())
