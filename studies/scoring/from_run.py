"""Scorers of a run, read from its folder: nothing is trained, nothing written."""

from collections.abc import Callable
from pathlib import Path

import torch

from hnas.architecture.space import Space
from hnas.data import Data
from hnas.device import describe
from hnas.network.compiled import compile_blocks
from hnas.network.local.layouts import use
from hnas.network.precision import compute_in
from hnas.network.supernet import Supernet
from hnas.studies.run.folder import Run, shared_run
from hnas.studies.run.images import stored_images
from hnas.studies.run.layouts import read_layouts
from hnas.studies.scoring.backend import Scorer
from hnas.studies.scoring.supernet_scorer import SupernetScorer
from hnas.studies.trials.work_request import WorkRequest
from hnas.training.trainer import load_trained


def stored_scorer(
    run: Run, stage: int, space: Space, data: Data, note: Callable[[str], None] = lambda text: None
) -> SupernetScorer:
    """The scorer of a stage's supernet, on the device of `data`.

    Raises StateError if the supernet is not trained to its end, CheckpointError.
    """
    net = Supernet(space)
    rules = run.stage(stage).training
    load_trained(net, run.supernet(stage), rules.epochs)
    net.to(data.mean.device)
    compute_in(net, rules.precision)
    if rules.compile:
        compile_blocks(net)
    return SupernetScorer(net, data, run.plan.score, note)


def from_folders(
    device: torch.device,
    *,
    folder: Path | None = None,
    check: Callable[[Run], None] = lambda run: None,
    note: Callable[[str], None] = lambda text: None,
) -> Callable[[WorkRequest, Space], Scorer]:
    """A `hnas.studies.scoring.worker.Load` that reads a run's folder: the one that the search
    names, or `folder`, if it is mounted elsewhere here. `check` sees the run first."""
    images: dict[str, Data] = {}  # of the last run, for its next stage

    def load(request: WorkRequest, space: Space) -> Scorer:
        run = shared_run(folder or Path(request.run))
        check(run)
        if request.run not in images:
            images.clear()
            images[request.run] = stored_images(run).to(device)
            use(read_layouts(run).get(describe(device)["device"], {}))
        return stored_scorer(run, request.stage, space, images[request.run], note)

    return load
