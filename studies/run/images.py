"""A run's images, split as they were."""

from __future__ import annotations

from hnas.data import Data, Split, prepare
from hnas.errors import MismatchError
from hnas.studies.run.folder import Run


def stored_images(run: Run) -> Data:
    """The run's images, split again. Raises MismatchError where they are not those of its split."""
    net = run.plan.net
    data, split = prepare(
        run.plan.data, image=net.image, channels=net.channels, seed=run.plan.search.seed
    )
    recorded = run.read("split.json")
    if recorded is None or Split.from_dict(recorded).fingerprint != split.fingerprint:
        raise MismatchError(
            f"the images of {run.plan.data.source!r} are not those that {run.folder} was made "
            "with: its split.json has other indices or labels. Restore them"
        )
    return data
