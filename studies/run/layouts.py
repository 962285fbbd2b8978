"""The layouts of convolutions that a run computes with, by GPU and size. Knows no torch.

A resumed run takes the same, so that its numbers do not depend on what a clock says that day.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from hnas.persist.record import recorded
from hnas.studies.run.folder import Run

FILE = "layouts.json"


@dataclass(frozen=True, kw_only=True)
class Layouts:
    """What was timed, once on each kind of GPU."""

    gpus: Mapping[str, Mapping[str, str]]
    """The layout of each size (`hnas.network.local.layouts.size`), by the name of the GPU."""


def read_layouts(run: Run) -> Mapping[str, Mapping[str, str]]:
    """Those of all GPUs; empty if none was timed. Raises StateError if the file is damaged."""
    advice = "Restore it, or delete it: they are timed again"
    kept = run.restore(FILE, Layouts, "does not hold layouts of convolutions", advice)
    return kept.gpus if kept else {}


def write_layouts(run: Run, gpus: Mapping[str, Mapping[str, str]]) -> None:
    """The inverse of `read_layouts`. Raises StateError."""
    run.write(FILE, recorded(Layouts(gpus=gpus)))
