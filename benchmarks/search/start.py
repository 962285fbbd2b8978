"""How near to a pretrained ViT do mixed and cut networks begin?

    python -m benchmarks.search.start --weights vit.pth DATA [--groups 3] [--heads 1] [--images 160]

Two tables, of held-out images of DATA before any training: the divergence of a subnet's answers
from those of the plain network (KL, in nats), and its accuracy. The first is of mixed networks, by
how local heads begin (`pretrained.local`): random distributions, and networks with one mixed block.
The second is of all-global networks that are cut, by what is kept (`pretrained.keep`).
docs/pretrained.md shows them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from hnas.architecture.arch import Arch
from hnas.architecture.space import Space, distribution_space, size_space
from hnas.data import Images, normalise, prepare
from hnas.exchange.adapt import adapt
from hnas.exchange.export import Network
from hnas.exchange.import_network import import_network
from hnas.exchange.import_weights import Asked
from hnas.network.glit import Glit
from hnas.network.supernet import Supernet, extend
from hnas.settings import DataRules
from hnas.training.local_start import begin_local


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Images to fit on, and held-out ones with the classes they show."""

    fit: Tensor
    images: Tensor
    labels: Tensor

    def measure(self, net: Supernet, archs: list[Arch], plain: Glit) -> tuple[float, float]:
        """(mean divergence from the plain network, mean accuracy) of some subnets."""
        with torch.no_grad():
            wanted = plain(self.images).softmax(-1)
            given = [net.eval()(self.images, arch).log_softmax(-1) for arch in archs]
        kl = [float(F.kl_div(one, wanted, reduction="batchmean")) for one in given]
        right = [float((one.argmax(1) == self.labels).float().mean()) for one in given]
        return float(np.mean(kl)), float(np.mean(right))


def seen(source: str, network: Network, count: int) -> Seen:
    """Evenly spaced images of a source, as the network sees them."""
    frame = network.model.frame
    rules = DataRules(source=source, held_out=0.05, mean=network.mean, std=network.std)
    data, _ = prepare(rules, image=frame.image, channels=frame.channels, seed=0)

    def some(images: Images, n: int) -> Images:
        return images.take(torch.arange(n) * len(images) // n)

    fit, held = some(data.train, 128).tensor(), some(data.held_out, count)
    return Seen(
        fit=normalise(fit, data.mean, data.std),
        images=normalise(held.tensor(), data.mean, data.std),
        labels=held.labels,
    )


def mixed(net: Glit, of: Seen) -> Iterator[tuple[str, str, float, float]]:
    """(how local heads begin, which networks, divergence, accuracy)."""
    frame = replace(net.frame, local="conv2d")
    plain, rng = adapt(net, frame), np.random.default_rng(0)
    space = distribution_space(frame, d_k=frame.d, d_z=4, E=1, K=3)
    some = [space.sample(rng) for _ in range(6)]
    whole, block = frame.all_global().blocks, frame.block(frame.N - 1, frame.d, 4, 1, 3)
    one = [Arch((*whole[:i], block, *whole[i + 1 :])) for i in range(0, frame.M, 2)]
    for local in ("random", "silent", "fitted"):
        made = Supernet(space).reset(1)
        if local != "random":
            begin_local(made, plain, of.fit if local == "fitted" else None)
        extend(made, [plain])
        for which, archs in (("random distributions", some), ("one mixed block", one)):
            yield local, which, *of.measure(made, archs, plain)


def cut(net: Glit, of: Seen) -> Iterator[tuple[str, str, float, float]]:
    """(what is kept, of what size, divergence, accuracy)."""
    frame = replace(net.frame, local="conv2d")
    d = frame.d
    for keep in ("first", "large"):
        plain = adapt(net, frame, keep=keep)
        for d_z, d_k in ((2, d), (1, d), (4, d // 2)):
            space: Space = size_space(
                frame, frame.all_global(), d_k=(d_k,), d_z=(d_z,), E=(1,), K=(3,)
            )
            made = extend(Supernet(space).reset(1), [plain])
            arch = space.sample(np.random.default_rng(0))
            yield keep, f"d_z = {d_z}, d_k = {d_k}", *of.measure(made, [arch], plain)


def main() -> None:
    assert __doc__
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data")
    parser.add_argument("--weights", type=Path, required=True)
    for name, default in (("groups", None), ("heads", None), ("images", 160), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    found = import_network(args.weights, Asked(groups=args.groups, heads=args.heads)).network
    of = seen(args.data, found, args.images)
    with torch.no_grad():
        right = float((found.model(of.images).argmax(1) == of.labels).float().mean())
    print(f"{'plain':8} {'':22} {'KL':>8} {'accuracy':>9}\n{'':40} {right:9.3f}")
    for rows in (mixed(found.model, of), cut(found.model, of)):
        for how, which, kl, accuracy in rows:
            print(f"{how:8} {which:22} {kl:8.3f} {accuracy:9.3f}", flush=True)


if __name__ == "__main__":
    main()
