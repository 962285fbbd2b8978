"""Glyphs of blocks: global, mixed or local."""

from collections.abc import Mapping

from hnas.architecture.arch import GLYPHS, Arch

LEGEND = "Blocks, first to last: ■ global, ◧ mixed, □ local."


def drawn(arch: Arch, glyphs: Mapping[str, str] = GLYPHS) -> str:
    """One glyph a block, first to last."""
    return "".join(glyphs[block.kind] for block in arch.blocks)
