"""Processes that train networks at the same time on one machine: how many, of how many threads.

A second thread helps a small network little, a second process trains a second network. All is
decided by the plan and the threads of this process, so that the same search gives the same weights:
what is trained already and the memory that is free change only how many run at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.cost.flops import cost
from hnas.machine import free_memory, peak_memory
from hnas.studies.run.agenda import BACKWARD

WORTH = 10**11
"""Multiply-accumulates for which a process is worth its start, of some five seconds: twelve seconds
of training."""
SMALLEST = 2**29
"""Bytes that a process takes at least: torch alone has half of them."""


@dataclass(frozen=True, kw_only=True)
class Crew:
    """The processes that train several networks."""

    size: int
    """Processes; 1: this one alone."""
    threads: int
    """Of each."""


def crew(asked: int, device: torch.device, work: Sequence[int], *, ranks: int = 1) -> Crew:
    """The processes for networks whose trainings take so many multiply-accumulates each.

    `asked` are those that the plan says, 0: as many as pay. One GPU trains one network, and
    `ranks` of a torchrun train each network together.
    """
    threads = torch.get_num_threads()
    size = min(asked or threads, len(work))
    if device.type == "cuda":
        size = min(size if asked else len(work), torch.cuda.device_count())
    if ranks > 1 or device.type == "mps" or (device.type == "cuda" and device.index is not None):
        size = 1
    if not asked:
        size = min(size, sum(work) // WORTH)
    size = max(1, size)
    return Crew(size=size, threads=max(1, threads // size))


def at_once(size: int, data: int) -> int:
    """How many of the processes the free memory permits at a time, at least one.

    One needs as much as this process has needed so far, which trains networks of the same kind, or
    the bytes of the images and what torch takes.
    """
    free, each = free_memory(), max(peak_memory(), data + SMALLEST)
    return size if free is None else max(1, min(size, free // each))


def training_work(frame: Frame, arch: Arch, seen: int) -> int:
    """Multiply-accumulates of a training that sees so many images, counted each time."""
    return BACKWARD * cost(frame, arch).macs * seen
