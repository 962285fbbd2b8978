"""Glyphs of blocks: global, mixed, local or skipped."""

from collections.abc import Iterable, Mapping

from hnas.architecture.arch import GLYPHS, Arch


def drawn(arch: Arch, glyphs: Mapping[str, str] = GLYPHS) -> str:
    """One glyph a block, first to last."""
    return "".join(glyphs[block.kind] for block in arch.blocks)


def kinds(archs: Iterable[Arch]) -> tuple[str, ...]:
    """The kinds of blocks that a legend names: `skipped` only if a network has one."""
    found = {block.kind for arch in archs for block in arch.blocks}
    return tuple(kind for kind in GLYPHS if kind != "skipped" or kind in found)


def legend(archs: Iterable[Arch]) -> str:
    """What the glyphs of some networks mean, in a sentence."""
    named = ", ".join(f"{GLYPHS[kind]} {kind}" for kind in kinds(archs))
    return f"Blocks, first to last: {named}."
