"""A file of weights from elsewhere as a network of hnas, with what had to be assumed for it."""

from dataclasses import dataclass
from pathlib import Path

from hnas.architecture.space import Frame
from hnas.errors import InputError
from hnas.exchange.export import Network
from hnas.exchange.import_weights import ANY, Asked, recognised
from hnas.exchange.names import HALF, IMAGENET
from hnas.exchange.weights_file import read_weights


@dataclass(frozen=True, kw_only=True, eq=False)
class Imported:
    """A network from elsewhere."""

    network: Network
    taken: tuple[str, ...]
    """What was assumed, each in a few words."""


def import_network(path: Path, asked: Asked = ANY) -> Imported:
    """The network of a file of weights; its classes are numbered.

    Raises InputError, naming the file, if it has none, or one that is no GLiT or ViT.
    """
    weights, wrapper = read_weights(path)
    try:
        model, told, family = recognised(weights, asked)
        if not family and "deit" in path.name.lower():
            family = "DeiT, by the file's name"
        mean, std, how = _normalisation(model.frame.channels, asked, family)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    frame = model.frame
    classes = tuple(map(str, range(frame.classes)))
    # Images of ViTs, DeiTs and GLiTs were resized so.
    network = Network(model=model, classes=classes, mean=mean, std=std, interpolation="bicubic")
    taken = [*told, *_assumed(frame, asked), how]
    if wrapper:
        taken.insert(0, f"the weights are those that the file calls {wrapper!r}")
    return Imported(network=network, taken=tuple(filter(None, taken)))


def _assumed(frame: Frame, asked: Asked) -> list[str]:
    """What shapes did not tell of the network, and nobody said."""
    N, heads = frame.N, frame.heads
    wide, pool = frame.d // (N * heads), {"class": "the class token", "mean": "the patches' mean"}
    found = []
    if asked.heads is None or asked.groups is None:
        found.append(f"{N * heads} heads {wide} wide, {N} groups of {heads}")
    if asked.activation is None:
        found.append(f"activation {frame.activation}")
    if asked.pool is None:
        found.append(f"the classifier sees {pool[frame.pool]}")
    return found


def _normalisation(
    channels: int, asked: Asked, family: str
) -> tuple[tuple[float, ...], tuple[float, ...], str]:
    """(mean, deviation, how they were found if nobody said them)."""
    usual = IMAGENET if family else HALF
    given = (asked.mean, asked.std)
    if None in given and channels != len(HALF[0]):
        raise InputError(
            f"nothing is known of the normalisation of images with {channels} channels: give mean "
            "and deviation of each, by hnas import --mean, --std; a search begins with the network "
            "that it writes"
        )
    mean, std = (usual[i] if one is None else one for i, one in enumerate(given))
    mean, std = (one * channels if len(one) == 1 else one for one in (mean, std))
    for name, one, rule, holds in (
        ("mean", mean, "0 to 1", all(0 <= v <= 1 for v in mean)),
        ("std", std, "above 0", all(v > 0 for v in std)),
    ):
        if len(one) != channels or not holds:
            raise InputError(
                f"{name} must have a number for all or for each of {channels} channels, {rule}, "
                f"got {_numbers(one)}"
            )
    if None not in given:
        return mean, std, ""
    whose = f"ImageNet's, as of {family}" if family else "as most of timm's ViTs, not as DeiT"
    return mean, std, f"images normalised by mean {_numbers(mean)}, std {_numbers(std)}; {whose}"


def _numbers(values: tuple[float, ...]) -> str:
    return ", ".join(f"{v:g}" for v in values)
