"""A step's gradients, summed over the processes in buckets while the backward pass still runs.

The last blocks' gradients are there first, so weights are in the reverse of the network's order. A
bucket is sent when all before it are, so that all processes send the same in the same order.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress

import torch
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from hnas.errors import StateError
from hnas.training.processes import World

BUCKET = 2**20
"""Numbers of a bucket, at least: 4 MB in float32."""


def backwards(weights: Iterable[Tensor]) -> list[Tensor]:
    """Weights in the order in which a backward pass finds their gradients."""
    return [weight for weight in reversed([*weights]) if weight.requires_grad]


def taken(weights: Sequence[Tensor], more: Sequence[Tensor] = ()) -> Tensor:
    """The gradients of weights, and more numbers, end to end in float32; the weights have none
    afterwards."""
    found = [weight.grad for weight in weights if weight.grad is not None]
    for weight in weights:
        weight.grad = None
    return torch.cat([tensor.flatten() for tensor in (*found, *more)]).float()


class Buckets:
    """The gradients of a process's last micro-batch, added to those of its others, and then over
    all processes. Close it."""

    def __init__(self, weights: Sequence[Tensor], before: Sequence[Tensor], world: World) -> None:
        """`weights` are in order of `backwards`. `before` are sums that other micro-batches have
        `taken`, to be added from the last to the first."""
        self._weights, self._before, self._world = weights, before, world
        self._next = _buckets(weights)
        self._waiting: list[Tensor] = []
        self._ready: set[Tensor] = set()
        self._sent: deque[tuple[Sequence[Tensor], Tensor, Callable[[], None]]] = deque()
        self._at = 0
        self._hooks: list[RemovableHandle] = []

    def begin(self) -> None:
        """To be called before the last backward pass: what it finds is sent at once."""
        if self._world.size > 1:
            self._waiting = next(self._next, [])
            for weight in self._weights:
                self._hooks.append(weight.register_post_accumulate_grad_hook(self._found))

    def end(self, more: Sequence[Tensor]) -> tuple[dict[Tensor, Tensor], Tensor]:
        """The sum of each weight that has a gradient, and of more numbers, end to end; to be called
        after that pass."""
        self._send([weight for weight in self._weights if weight.grad is not None], more)
        sums: dict[Tensor, Tensor] = {}
        while self._sent:
            weights, flat, ended = self._sent.popleft()
            ended()
            sizes = [weight.numel() for weight in weights]
            *parts, rest = flat.split([*sizes, len(flat) - sum(sizes)])
            sums |= {w: part.view_as(w) for w, part in zip(weights, parts, strict=True)}
        return sums, rest

    def close(self) -> None:
        """Leaves the weights as they were, and nothing under way."""
        for hook in self._hooks:
            hook.remove()
        while self._sent:
            with suppress(StateError):  # it is told already
                self._sent.popleft()[2]()

    def _found(self, weight: Tensor) -> None:
        self._ready.add(weight)
        while self._waiting and self._ready.issuperset(self._waiting):
            self._send(self._waiting)
            self._waiting = next(self._next, [])

    def _send(self, weights: Sequence[Tensor], more: Sequence[Tensor] = ()) -> None:
        flat = taken(weights, more)
        first, self._at = self._at, self._at + len(flat)
        for before in reversed(self._before):
            flat = before[first : self._at].add_(flat)
        self._sent.append((weights, flat, self._world.begin_sum(flat)))


def _buckets(weights: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """Neighbours, as many as make a BUCKET; what is left over at the end is none."""
    bucket, numbers = list[Tensor](), 0
    for weight in weights:
        bucket.append(weight)
        numbers += weight.numel()
        if numbers >= BUCKET:
            yield bucket
            bucket, numbers = [], 0
