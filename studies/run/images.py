"""A run's images: prepared as its plan says, split as they were when it began."""

from dataclasses import replace

from hnas.data import Data, Split, prepare
from hnas.data.sources.load import is_there
from hnas.device import fits_memory
from hnas.errors import InputError, MismatchError
from hnas.scoring.score import select
from hnas.studies.plan.plan import Plan
from hnas.studies.run.folder import SPLIT, Run
from hnas.studies.run.split import read_split, write_split
from hnas.studies.run.studies import read_stages

HELD_OUT = "held-out images"
"""Their fingerprint in what a study's trials are scored with."""
WITHOUT = "Without its images a finished run still exports, predicts, measures latency and reports"


def prepared(plan: Plan, kept: Split | None = None) -> tuple[Data, Split]:
    """The images of a plan, loaded and split; `kept` is how they were split before.

    Raises InputError if they have other classes, MismatchError if they are not those of `kept`.
    """
    net, seed = plan.net, plan.search.seed
    with fits_memory("Pack the images: hnas data pack; then give --data PACK"):
        data, split = prepare(
            plan.data, image=net.image, channels=net.channels, seed=seed, kept=kept
        )
    if len(data.classes) != net.classes:
        raise InputError(
            f"net.classes must be the number of classes in the data, {len(data.classes)} in "
            f"{plan.data.source!r}, got {net.classes}"
        )
    return data, split


def run_images(run: Run) -> tuple[Data, Split]:
    """The run's images, split again; those of a run that begins are split.

    Raises InputError if they are not there, MismatchError if they are others.
    """
    kept, source = read_split(run), run.plan.data.source
    if kept is not None and not is_there(source):
        raise InputError(
            f"the images of the run {run.folder}, {source!r}, are not there any more. If they were "
            f"moved, say where, they are known by their pixels: hnas search --run {run.folder} "
            f"--data NEW. {WITHOUT}"
        )
    try:
        data, split = prepared(run.plan, kept)
    except MismatchError as error:
        raise _others(run, str(error)) from None
    if kept is not None and kept.fingerprint != split.fingerprint:
        raise _others(run, f"its {SPLIT} has other indices or labels")
    return data, split


def _others(run: Run, how: str) -> MismatchError:
    return MismatchError(
        f"the images of {run.plan.data.source!r} are not those that the run {run.folder} was begun "
        f"with: {how}. Restore them, or use another --run. {WITHOUT}"
    )


def keep_split(run: Run, data: Data, split: Split, *, rescore: bool = False) -> str:
    """Writes the split of a run that has none. Of one that an older hnas has begun it adds what its
    images are known by, and says what that assumes.

    Raises MismatchError if its trials were scored on other images, unless they are to be scored by
    another rule (`rescore`).
    """
    kept = read_split(run)
    if kept is not None and kept.known is not None:
        return ""
    if kept is not None and not rescore:
        _check_scored(run, data)
    write_split(run, split)
    if kept is None:
        return ""
    return (
        "an older hnas began this run, and kept the labels of its images only: these are taken for "
        "the same images, and known by their pixels from now on"
    )


def _check_scored(run: Run, data: Data) -> None:
    _, held_out = select(data, run.plan.score)
    now = held_out.fingerprint
    for study in read_stages(run):
        if study.attrs.get("scorer", {}).get(HELD_OUT, now) != now:
            raise _others(run, f"the trials of {study.name!r} were scored on other held-out images")


def stored_images(run: Run) -> Data:
    """The run's images, split again. Raises MismatchError if they are not those of its split."""
    if read_split(run) is None:
        raise _others(run, f"it has no {SPLIT}")
    return run_images(run)[0]


def prove(run: Run, plan: Plan) -> None:
    """Raises MismatchError if a plan's images are not those of the run, wherever they lie."""
    kept = read_split(run)
    if kept is None:  # nothing depends on them yet
        return
    if kept.known is None:
        raise MismatchError(
            f"an older hnas began the run {run.folder}, and kept nothing that could prove that "
            f"{plan.data.source!r} has the same images. Put them back as {run.plan.data.source!r}, "
            "or use another --run"
        )
    run_images(replace(run, plan=replace(plan, search=run.plan.search, net=run.plan.net)))
