"""Classes of a report: how many images of each were right, and which classes are confused."""

from functools import partial
from typing import Any

from hnas.studies.report import pictures
from hnas.studies.report.page import Drawing, Section, Table
from hnas.studies.run.result import Result

SHOWN = 30
"""Most classes that a table and a picture show; the JSON has all."""
PAIRS = 10
"""Most confused pairs that a table lists."""


def class_section(result: Result) -> Section | None:
    """Test images by class; None if the result is older than confusions."""
    found, names = result.winner.confusion, result.inputs.classes
    if found is None:
        return None
    rows = sorted(by_class(result), key=lambda one: one["winner"] / max(1, one["images"]))[:SHOWN]
    few = len(names) > SHOWN
    most = f"The {SHOWN} of {len(names):,} classes that the winner knows least." if few else ""
    pairs = found.mistakes()[:PAIRS]
    columns = ("class", "images", "winner right", "share", "all-global right")
    cells = (
        (
            one["class"],
            f"{one['images']:,}",
            f"{one['winner']:,}",
            f"{one['winner'] / one['images']:.2f}" if one["images"] else "",
            "" if one["all_global"] is None else f"{one['all_global']:,}",
        )
        for one in rows
    )
    tables = [Table(columns, tuple(cells))]
    if pairs:
        shown = ((names[a], names[b], f"{n:,}") for a, b, n in pairs)
        tables.append(Table(("shows", "was given", "images"), tuple(shown), left=2))
    drawing = Drawing("Confusion matrix of the winner", partial(pictures.confused, found, names))
    return Section(
        title="By class",
        text=(most,) if few else (),
        drawings=() if few else (drawing,),
        tables=tuple(tables),
        notes=(
            "Test images."
            + f" The second table has the {len(pairs)} most frequent mistakes." * bool(pairs),
        ),
    )


def by_class(result: Result) -> list[dict[str, Any]]:
    """For each class its name, its test images, and how many of them a network gave it."""
    winner, plain = result.winner.confusion, result.all_global.confusion
    if winner is None:
        return []
    return [
        {
            "class": name,
            "images": winner.of_class(i),
            "winner": winner.right(i),
            "all_global": plain and plain.right(i),
        }
        for i, name in enumerate(result.inputs.classes)
    ]
