"""Conventions of papers and tools for counting multiply-accumulates; `hnas.cost.flops` is exact.

- `exact`: every convolution, linear layer and attention product, as PyTorch's dispatcher counts.
- `glit`: as the authors' release. The local head's first pointwise convolution is counted once,
  though GLU doubles its rows (local attention has no GLU, and counts as exact).
- `thop`: what thop's own rules see in the textbook's layers, counted by thop itself. Attention's
  two products are no layer, so not seen; a norm is 4 operations a number.

GLiT-Tiny as released is 1,472.9M, 1,332.5M and 1,383.1M; DeiT-Ti 1,253.7M, 1,253.7M and 1,078.6M.
"""

from collections.abc import Callable

from hnas.architecture import layout
from hnas.architecture.arch import Arch, Block
from hnas.architecture.local import KINDS
from hnas.architecture.space import Frame
from hnas.cost.flops import block_cost, shared_cost
from hnas.errors import InputError

CONVENTIONS = ("exact", "glit", "thop")
BUDGETS = ("exact", "glit")
"""Those that a budget may be counted by: what a search counts a million times needs no torch."""


def macs_by_part(frame: Frame, arch: Arch, convention: str) -> tuple[int, ...]:
    """Multiply-accumulates of each block, and last of what all networks of the frame share.

    Raises InputError if there is no such convention, or `arch` does not fit the frame.
    """
    frame.check_arch(arch)
    shared = shared_cost(frame).macs
    match convention:
        case "exact" | "glit":
            return (*map(block_macs(frame, convention), arch.blocks), shared)
        case "thop":
            return _thop(frame, arch)
    raise InputError(f"the convention must be one of {', '.join(CONVENTIONS)}, got {convention!r}")


def block_macs(frame: Frame, convention: str) -> Callable[[Block], int]:
    """The count of one block's multiply-accumulates by one of BUDGETS; the shared part is the same
    in all. Raises InputError if there is no such convention."""
    match convention:
        case "exact":
            return lambda block: block_cost(frame, block).macs
        case "glit":
            return lambda block: _release(frame, block)
    raise InputError(
        f"the convention of a budget must be one of {', '.join(BUDGETS)}, got {convention!r}"
    )


def most_exact(most: int, convention: str) -> int:
    """Exact MACs that no network of at most `most` MACs by the convention exceeds.

    Of a local head the release misses one of three pointwise products, so less than a third of the
    exact count.
    """
    return {"exact": most, "glit": most * 3 // 2}[convention]


def _release(frame: Frame, block: Block) -> int:
    s = layout.sizes(frame, block)
    gate = 0 if KINDS[frame.local].attends else frame.T * s["E"] * s["Cl"] ** 2
    return block_cost(frame, block).macs - gate


def _thop(frame: Frame, arch: Arch) -> tuple[int, ...]:
    import thop
    import torch

    from hnas.network.thop_twin import Textbook

    with torch.device("meta"):  # shapes are all that thop looks at
        net = Textbook(frame, arch)
        images = torch.zeros(1, frame.channels, frame.image, frame.image)
    total, _, parts = thop.profile(net, (images,), verbose=False, ret_layer_info=True)
    blocks = [int(ops) for ops, _, _ in parts["blocks"][2].values()]
    return (*blocks, int(total) - sum(blocks))
