"""A run's images: prepared as its plan says, split as they were when it began."""

from hnas.data import Data, Split, prepare
from hnas.device import fits_memory
from hnas.errors import InputError, MismatchError
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import SPLIT, Run
from hnas.studies.run.split import read_split, write_split


def prepared(plan: Plan) -> tuple[Data, Split]:
    """The images of a plan, loaded and split. Raises InputError if they have other classes."""
    net = plan.net
    with fits_memory("Pack the images: hnas data pack; then give --data PACK"):
        data, split = prepare(
            plan.data, image=net.image, channels=net.channels, seed=plan.search.seed
        )
    if len(data.classes) != net.classes:
        raise InputError(
            f"net.classes must be the number of classes in the data, {len(data.classes)} in "
            f"{plan.data.source!r}, got {net.classes}"
        )
    return data, split


def check_split(run: Run, split: Split) -> None:
    """Raises MismatchError if the run's images were split in another way, or not at all."""
    kept = read_split(run)
    if kept is None or kept.fingerprint != split.fingerprint:
        raise MismatchError(
            f"the images of {run.plan.data.source!r} are not those that the run {run.folder} was "
            f"begun with: its {SPLIT} has other indices or labels. Restore them, or use another "
            "--run"
        )


def keep_split(run: Run, split: Split) -> None:
    """Writes the split of a run that has none. Raises MismatchError if it has another."""
    if read_split(run) is None:
        write_split(run, split)
    check_split(run, split)


def stored_images(run: Run) -> Data:
    """The run's images, split again. Raises MismatchError if they are not those of its split."""
    data, split = prepared(run.plan)
    check_split(run, split)
    return data
