"""Published networks on ImageNet (1,000 classes, top-1), from `published.toml`."""

import tomllib
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame
from hnas.cost.flops import Cost, cost
from hnas.studies.findings.findings import Findings, describe
from hnas.studies.objective.costs import Costs
from hnas.studies.plan.quantities import parse_flops
from hnas.studies.plan.toml import load_preset

FOUND = "GLiT-Tiny (release)"
"""The only network found by GLiT's search whose blocks its authors published."""


@dataclass(frozen=True, kw_only=True)
class Published:
    """A network as it was published."""

    name: str
    family: str
    top1: float
    """Accuracy on ImageNet's validation images, percent."""
    params: str
    """As published: 7.2M."""
    flops: str
    """Multiply-accumulates of one image as published: 1.4G."""
    image: int
    """Side of the image in pixels."""
    source: str
    frame: Frame | None = None
    """None if hnas cannot build the network."""
    arch: Arch | None = None

    @property
    def macs(self) -> int:
        """Multiply-accumulates as published."""
        return parse_flops(self.flops)

    @property
    def exact(self) -> Cost | None:
        """The cost by hnas; None if it cannot build the network."""
        if self.frame is None or self.arch is None:
            return None
        return cost(self.frame, self.arch)


@cache
def published() -> tuple[Published, ...]:
    """All of them, the cheapest of a family first."""
    path = resources.files("hnas.studies.findings") / "published.toml"
    made = []
    for entry in tomllib.loads(path.read_text("utf-8"))["network"]:
        preset, blocks = entry.pop("preset", None), entry.pop("blocks", None)
        network = Published(**entry)
        if preset is not None:
            frame = replace(load_preset(preset).net, image=network.image)
            arch = Arch.from_dict({"blocks": blocks}) if blocks else frame.all_global()
            network = replace(network, frame=frame, arch=arch)
        made.append(network)
    return tuple(made)


@cache
def published_findings() -> Findings:
    """The findings on the paper's own network; chance draws from the release's whole space, within
    its own multiply-accumulates."""
    (found,) = (network for network in published() if network.name == FOUND)
    assert found.arch is not None and found.exact is not None
    space = load_preset("glit-tiny-release").space2()
    costs = Costs(frame=space.frame, flops=found.exact.macs)
    return describe(FOUND, [found.arch], space, costs, "the published network")
