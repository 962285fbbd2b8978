"""Latency tables: a run measures its own once, on the device that begins the search."""

import math
import statistics

import numpy as np
import torch

from hnas.architecture.arch import Block
from hnas.cost.block_latency import measure
from hnas.cost.latency_table import LatencyTable
from hnas.device import describe
from hnas.errors import StateError
from hnas.persist.record import recorded
from hnas.studies.plan.plan import Plan
from hnas.studies.plan.strategies import stages
from hnas.studies.run.folder import Run
from hnas.studies.run.latency import FILE, Measured, TableError, read_measured, write_measured
from hnas.studies.run.provenance import environment
from hnas.studies.run.split import read_sizes
from hnas.studies.run.times import Clock
from hnas.studies.search.events import Listener

NETWORKS = 8
"""Random networks of each stage's space, to judge the table by."""


def latency_table(run: Run, device: torch.device, listener: Listener, clock: Clock) -> LatencyTable:
    """The run's table of all blocks that it may search; measured if the run has none.

    Raises StateError if the run has a table of other blocks.
    """
    spaces = [stage.space(None) for stage in run.stages]
    blocks = table_blocks(run.plan)
    frame, batch = recorded(run.plan.net), run.plan.search.latency_batch
    here = {**environment(), **describe(device)}
    kept = read_measured(run)
    if kept and (kept.frame, kept.table.batch) == (frame, batch) and blocks <= {*kept.table.blocks}:
        if other := kept.elsewhere(here):
            listener.note(f"latencies stay those that were measured elsewhere: {other}")
        return kept.table
    if kept and read_sizes(run) is not None:
        raise StateError(
            f"{run.folder / FILE} was measured for other networks than the run's: restore the one "
            "that its trials were searched with, or use another --run"
        )
    listener.note(f"measuring the latencies of {len(blocks)} blocks, once")
    rng = np.random.default_rng(run.seed("latency"))
    whole = [space.sample(rng) for space in spaces for _ in range(NETWORKS)]
    with clock.step("latency table"):
        table = measure(
            run.plan.net, blocks, whole, device, batch=batch, on_round=listener.measured
        )
    measured = Measured(table=table, error=_error(table), frame=frame, environment=here)
    write_measured(run, measured)
    listener.note(measured.words)
    return table


def table_blocks(plan: Plan) -> set[Block]:
    """All blocks that a plan may search, and those of its all-global network."""
    spaces = [plan.space1(), *(stage.space(None) for stage in stages(plan))]
    blocks = {block for space in spaces for choices in space.choices for block in choices}
    return blocks | set(plan.net.all_global().blocks)


def _error(table: LatencyTable) -> TableError:
    """The error of a table: its sums compared with the measured networks."""
    from scipy.stats import kendalltau  # as slow to import as a third of torch

    sums, measured = zip(*((table.of(one.arch), one.measured) for one in table.whole), strict=True)
    bias = [its / real - 1 for its, real in zip(sums, measured, strict=True)]
    off = [abs(its) for its in bias]
    tau = float(kendalltau(sums, measured).statistic)
    return TableError(
        networks=len(sums),
        mean=statistics.fmean(off),
        worst=max(off),
        bias=statistics.fmean(bias),
        tau=tau if math.isfinite(tau) else None,
    )
