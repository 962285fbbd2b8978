"""Published numbers agree with what hnas counts, and each has a source."""

from __future__ import annotations

import re
from decimal import Decimal

import pytest

from hnas.architecture.arch import Arch
from hnas.cost.conventions import macs_by_part
from hnas.studies.findings.published import FOUND, Published, published, published_findings
from hnas.studies.plan.quantities import parse_flops
from hnas.studies.plan.toml import load_preset
from tests.support.references import GLIT_TINY

BUILT = [network for network in published() if network.exact]


def last_digit(text: str) -> Decimal:
    """What one more in the last printed digit is: 100,000 for 7.2M."""
    number, unit = Decimal(text[:-1]), {"M": 10**6, "G": 10**9}[text[-1]]
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    return Decimal(10) ** exponent * unit


@pytest.mark.parametrize("network", BUILT, ids=lambda network: network.name)
def test_a_network_that_hnas_builds_has_the_published_size(network: Published) -> None:
    """Within the last printed digit: some are cut off (DeiT-B's 86.6M to 86M)."""
    assert network.exact and network.frame and network.arch
    assert abs(network.exact.params - parse_flops(network.params)) < last_digit(network.params)
    # The release of GLiT prints what it counts itself.
    convention = "glit" if network.family == "GLiT" else "exact"
    counted = sum(macs_by_part(network.frame, network.arch, convention))
    assert abs(counted - network.macs) < last_digit(network.flops)


@pytest.mark.parametrize(
    ("name", "preset"),
    [
        ("GLiT-Tiny (release)", "glit-tiny"),
        ("GLiT-Tiny (release)", "glit-tiny-release"),
        ("GLiT-Tiny (paper)", "glit-tiny"),
        ("GLiT-Small", "glit-small"),
        ("GLiT-Base", "glit-base"),
    ],
)
def test_a_preset_allows_the_published_network_that_it_is_named_after(
    name: str, preset: str
) -> None:
    """Those without blocks to count by what is printed, up to half of its last digit more."""
    (network,) = (one for one in published() if one.name == name)
    plan = load_preset(preset)
    assert plan.search.convention == "glit"
    if network.arch is not None:
        assert network.frame is not None and network.exact is not None
        assert network.arch in plan.space2()
        assert plan.costs().allow(network.arch)
        assert network.exact.macs > (plan.budget() or 0)  # an exact budget would refuse it
    elif preset != "glit-tiny":  # the paper's is the release's, whose count is known
        half = last_digit(network.flops) / 2
        assert network.macs + half == plan.budget()


def test_deit_vit_and_glit_are_built() -> None:
    assert [network.name for network in BUILT] == [
        *("ViT-B/16 at 384", "DeiT-Ti", "DeiT-S", "DeiT-B", "GLiT-Tiny (release)"),
    ]


def test_the_found_network_is_the_one_in_the_documents() -> None:
    (glit,) = (network for network in published() if network.name == FOUND)
    assert glit.arch == Arch.from_json(GLIT_TINY.read_text())


def test_every_network_has_sane_numbers_and_a_source() -> None:
    names = [network.name for network in published()]
    assert len(set(names)) == len(names) == 16
    for network in published():
        assert 60 < network.top1 < 90
        assert re.fullmatch(r"[\d.]+M", network.params) and re.fullmatch(r"[\d.]+G", network.flops)
        assert network.image in (224, 384)
        assert re.search(r"arXiv|torchvision|github\.com", network.source), network.name
    for family in {network.family for network in published()}:
        costs = [network.macs for network in published() if network.family == family]
        assert costs == sorted(costs) or family == "GLiT"


def test_the_paper_s_own_findings() -> None:
    findings = published_findings()
    assert (findings.networks, len(findings.depth)) == (1, 12)
    assert [share.count for share in findings.kinds] == [5, 3, 4]
    # Of four local blocks: kernels of mixed ones are fixed in the released space.
    assert [(share.what, share.count, share.of) for share in findings.kernels] == [
        ("K = 17", 0, 4),
        ("K = 31", 2, 4),
        ("K = 45", 2, 4),
    ]
