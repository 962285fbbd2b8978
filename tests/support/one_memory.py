"""The processes of a torchrun, as far as one process can be them."""

from __future__ import annotations

from contextlib import nullcontext


class OneMemory:
    """The world of a first and another process that share their memory."""

    def process_group(self, device, job=None):
        self.job = job or self.job
        return nullcontext()

    def broadcast(self, tensors, device):
        self.tensors = tensors or self.tensors
        return self.tensors
