"""A storage with one study of one trial."""

from datetime import datetime, timedelta

from hnas.architecture.arch import Arch, Block
from hnas.architecture.space import Frame, distribution_space
from hnas.studies.objective.costs import Costs
from hnas.studies.trials.record import Record
from hnas.studies.trials.trial import write_trial

FRAME = Frame(image=32, channels=3, patch=4, classes=10, d=192, M=3, N=3)
SPACE = distribution_space(FRAME, d_k=192, d_z=4, E=1, K=31)
ARCH = Arch(
    (
        Block(G=3, L=0, d_k=192, d_z=4),
        Block(G=0, L=3, d_z=4, E=1, K=31),
        Block(G=1, L=2, d_k=192, d_z=4, E=1, K=31),
    )
)
RECORD = Record(
    number=0, generation=2, arch=ARCH, accuracy=0.1 + 0.2, loss=1.5, macs=90, params=7, seconds=0.25
)
STARTED = datetime(2026, 1, 2, 3, 4, 5, 678)


def url_of(path):
    return f"sqlite:///{path}"


def write(study, record=RECORD):
    completed = STARTED + timedelta(seconds=1)
    costs = Costs(frame=FRAME, flops=100)
    write_trial(study, SPACE, record, costs=costs, started=STARTED, completed=completed)
