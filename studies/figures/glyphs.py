"""One glyph a block: global, mixed or local."""

from __future__ import annotations

from hnas.architecture.arch import Arch

GLYPHS = {"global": "■", "mixed": "◧", "local": "□"}


LEGEND = "Blocks, first to last: ■ global, ◧ mixed, □ local."


def drawn(arch: Arch) -> str:
    """One glyph a block, as the command line draws it."""
    return "".join(GLYPHS[block.kind] for block in arch.blocks)
