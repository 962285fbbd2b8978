"""A run's winner in 8-bit integers beside itself in fp32, on held-out images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hnas.errors import HnasError
from hnas.settings import METRICS
from hnas.studies.run.folder import Run
from hnas.studies.run.images import stored_images
from hnas.studies.run.networks import identity_of
from hnas.studies.run.result import finished_result

if TYPE_CHECKING:
    from hnas.data import Images
    from hnas.exchange.export import Network


def compared(run: Run, network: Network, fp32: bytes, int8: bytes) -> str:
    """What the held-out images say of two ONNX graphs of the winner, in sentences: the accuracy of
    each, whether the images tell them apart, milliseconds. If the run's images are gone
    or damaged, that.

    Loads images and a metric as the run's plan names them: whoever calls has asked `check_code`.
    Raises StateError if the search is not finished.
    """
    from hnas.scoring.score import select

    try:
        _, images = select(stored_images(run), run.plan.score)
    except HnasError as error:
        return f"What int8 costs in accuracy was not measured: {error}"
    result = finished_result(run)
    said = _measured(network, images, fp32, int8, run.plan.score.metric)
    if identity_of(run, result.winner.key).held_out_too:
        said += (
            " The network was trained on these images too in the end: trust the difference, and"
            " not the values."
        )
    return said


def _measured(network: Network, images: Images, fp32: bytes, int8: bytes, metric: str) -> str:
    import torch

    from hnas.data import normalise
    from hnas.exchange.quantise import BATCH, answered
    from hnas.scoring.metric import measured
    from hnas.scoring.pairs import differ

    mean, std = torch.tensor(network.mean), torch.tensor(network.std)
    parts = images.tensor().split(BATCH)
    (before, slow), (after, fast) = (
        answered(graph, (normalise(part, mean, std) for part in parts)) for graph in (fp32, int8)
    )
    of_before, of_after = (measured(metric, each, images.labels)[0] for each in (before, after))
    right, still = (each.argmax(-1) == images.labels for each in (before, after))
    alone = int((right & ~still).sum()), int((still & ~right).sum())
    tells = "tells" if differ(alone) else "cannot tell"
    n = len(images)
    return (
        f"On {n:,} held-out images: {METRICS.get(metric, metric)} {of_before:.4f} in fp32, "
        f"{of_after:.4f} in int8. fp32 alone is right on {alone[0]:,} of them, int8 alone on "
        f"{alone[1]:,}: that {tells} the two apart (exact McNemar test, 95%). One thread of this "
        f"CPU takes {1e3 * slow / n:.3g} ms an image in fp32, {1e3 * fast / n:.3g} ms in int8, "
        f"{min(n, BATCH)} at a time, by onnxruntime."
    )
