"""Layouts of convolutions: a run times them once on each kind of GPU that computes for it."""

from collections.abc import Mapping

import torch

from hnas.cost.layouts import fastest
from hnas.device import describe, precision
from hnas.network.local.layouts import use
from hnas.studies.run.folder import Run
from hnas.studies.run.layouts import read_layouts, write_layouts
from hnas.studies.search.events import Listener
from hnas.studies.search.measure_latency import table_blocks


def chosen_layouts(run: Run, device: torch.device, listener: Listener) -> Mapping[str, str]:
    """The layouts that the run computes with on this device, by size, now in use; what the run does
    not know of its GPU is timed and kept. None on other devices. Hold the run."""
    if device.type != "cuda":
        return {}
    gpu, kept, rules = describe(device)["device"], read_layouts(run), run.stage(1).training
    known = kept.get(gpu, {})
    found = fastest(
        run.plan.net,
        table_blocks(run.plan),
        device,
        batch=rules.micro_batch or rules.batch,
        dtype=precision(device, rules.precision),
        known=known,
    )
    if found != known:
        write_layouts(run, {**kept, gpu: found})
        listener.note(f"timed the layouts of {len(found)} sizes of convolutions on {gpu}, once")
    use(found)
    return found
