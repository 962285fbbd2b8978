"""Conclusions: what findings come to, in a sentence for people who read no table."""

from collections.abc import Iterator

from hnas.studies.findings.findings import LEVEL, Findings

CAUTION = (
    "The best networks of one search are relatives: whether another search finds the same, "
    "another --seed tells."
)
"""What is to be said after a conclusion."""
ALL = (
    "the best are all of its {count:,} trials, so that nothing sets them apart: more trials tell "
    "more"
)
"""What is said of a study that has no other trials."""
SIZES = {
    "G": "the groups",
    "d_k": "the width of the queries",
    "d_z": "the FFN",
    "E": "the expansion of the local head",
    "K": "the kernel",
}


def conclusion(found: Findings) -> str:
    """What differs from chance in the elites of a study, and what the score depends on most."""
    if found.networks == found.trials:
        return f"{found.of}: {ALL.format(count=found.trials)}{_importance(found)}."
    traits = [*_shares(found), *_order(found)]
    said = "; ".join(traits) or "nothing that the best have in common differs from chance"
    return f"{found.of}: {said}{_importance(found)}."


def _shares(found: Findings) -> Iterator[str]:
    for verdict, word in (("more", "more often"), ("less", "more seldom")):
        named = [
            f"{share.what} blocks" if share in found.kinds else share.what
            for share in (*found.kinds, *found.kernels)
            if share.verdict == verdict
        ]
        if named:
            yield f"the best have {' and '.join(named)} {word} than by chance"


def _order(found: Findings) -> Iterator[str]:
    if (order := found.order) is None:
        return
    if order.trend_p < LEVEL:
        yield f"their blocks get more {'global' if order.trend > 0 else 'local'} with depth"
    if order.turns_p < LEVEL:
        yield "local and global blocks alternate with depth"


def _importance(found: Findings) -> str:
    if (measured := found.importances) is None:
        return ""
    name, value = max(measured.values.items(), key=lambda item: item[1])
    if value <= measured.chance:
        return "; the score depends clearly on no parameter"
    block, size = name.split(".")[:2]
    return f"; the score depends most on {SIZES[size]} of block {int(block[1:])}"
