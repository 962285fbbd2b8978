"""Local heads: one file a kind, all on the same tokens.

B images, T tokens (a class token if there is one, then a square of patches by rows), C channels,
K kernel.

    conv1d      a depthwise convolution over all tokens, K of them; a class token is one of them
    conv2d      a depthwise convolution over the grid of patches, K x K of them
    attention   each patch attends to the patches of the K x K around it that are in the grid

conv2d and attention pass a class token aside: its own row is not convolved, it attends only
to itself, and no patch sees it. Only global groups then bring it news of the image.

A new kind is a file here with its `LocalHead`, a line in HEADS, and its weights in
`hnas.architecture.local`. `hnas.exchange.standalone` has it too: that file imports nothing of hnas.
"""

from hnas.network.local.attention import ATTENTION
from hnas.network.local.conv1d import CONV1D
from hnas.network.local.conv2d import CONV2D
from hnas.network.local.head import LocalHead

HEADS: dict[str, LocalHead] = {"conv1d": CONV1D, "conv2d": CONV2D, "attention": ATTENTION}
"""By `Frame.local`."""
