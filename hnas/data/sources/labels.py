"""Labels: the names of what holds them, and what stands for none."""

from collections.abc import Collection

LABELS = ("label", "labels", "class", "class_name", "classname", "category", "target", "species")
"""The names of what holds the class of an image, in lower case, the likeliest first."""
UNKNOWN = frozenset(("", "-1", "-1.0"))
"""Labels that stand for none, as images have that are for others to name."""


def unlabelled(labels: Collection[str]) -> frozenset[str]:
    """What stands for no label beside the labels of a training part: -1 too, unless they are -1 and
    1 and no other."""
    two = {label.removesuffix(".0") for label in labels} == {"-1", "1"}
    return UNKNOWN - set(labels) if two else UNKNOWN
