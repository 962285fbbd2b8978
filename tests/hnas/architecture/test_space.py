import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnas.architecture.arch import SKIPPED, Arch, Block
from hnas.architecture.space import (
    BlockSpace,
    Frame,
    Own,
    Space,
    distribution_space,
    size_space,
    skippable,
)
from hnas.errors import InputError
from hnas.persist.record import as_json, recorded, restored
from hnas.studies.plan.toml import load_preset
from tests.support.generators import spaces
from tests.support.references import GLIT_TINY

TINY = Frame(image=224, channels=3, patch=16, classes=1000, d=192, M=12, N=3)


def paper(frame: Frame) -> Space:
    d = frame.d
    return size_space(
        frame, None, d_k=(d // 2, d, 2 * d), d_z=(2, 4, 6), E=(1, 2, 4), K=(17, 31, 45)
    )


def test_the_papers_space_is_counted_as_the_paper_counts_it():
    space = paper(TINY)
    assert space.index_tuples == 324**12
    assert space.distinct == 198**12


def test_stage_1_has_one_arch_for_every_distribution():
    space = distribution_space(TINY, d_k=192, d_z=4, E=1, K=31)
    assert space.distinct == space.index_tuples == 4**12


@given(spaces(), st.integers(0, 2**32))
def test_samples_are_members_and_reproducible(space, seed):
    arch = space.sample(np.random.default_rng(seed))
    assert arch in space
    assert arch == space.sample(np.random.default_rng(seed))
    space.frame.check_arch(arch)


@given(spaces())
def test_choices_are_distinct_and_sorted(space):
    for choices in space.choices:
        keys = [block.key for block in choices]
        assert keys == sorted(set(keys))


def test_sampling_is_uniform_over_distributions():
    frame = Frame(image=8, channels=1, patch=4, classes=2, d=12, M=2, N=3)
    space = paper(frame)
    rng = np.random.default_rng(0)
    counts: dict[tuple[int, ...], int] = {}
    n = 16 * 500
    for _ in range(n):
        drawn = tuple(block.G for block in space.sample(rng).blocks)
        counts[drawn] = counts.get(drawn, 0) + 1
    assert set(counts) == set(itertools.product(range(4), repeat=2))
    chi2 = sum((count - 500) ** 2 / 500 for count in counts.values())
    assert chi2 < 37.7  # 15 degrees of freedom, p = 0.001


def test_all_blocks_but_the_first_may_be_skipped():
    first = skippable(distribution_space(TINY, d_k=192, d_z=4, E=1, K=31))
    assert first.index_tuples == first.distinct == 4 * 5**11
    sizes = {"d_k": (96, 192, 384), "d_z": (2, 4, 6), "E": (1, 2, 4), "K": (17, 31, 45)}
    whole = skippable(size_space(TINY, None, **sizes))
    assert whole.index_tuples == 324 * 325**11 and whole.distinct == 198 * 199**11
    rng = np.random.default_rng(0)
    for space in (first, whole):
        drawn = [space.sample(rng) for _ in range(300)]
        skipped = np.mean([[block == SKIPPED for block in arch.blocks] for arch in drawn], axis=0)
        assert skipped[0] == 0 and np.abs(skipped[1:] - 0.2).max() < 0.1
    arch = drawn[0]
    second = size_space(TINY, arch, **sizes)
    for block, choices in zip(arch.blocks, second.choices, strict=True):
        assert {choice.kind for choice in choices} == {block.kind}
        assert (choices == (SKIPPED,)) == (block == SKIPPED)


def test_behind_a_residual_stem_all_blocks_may_be_skipped():
    frame = Frame(
        image=32, channels=3, patch=8, classes=2, d=48, M=2, N=3, stem="residual", pool="mean"
    )
    first = skippable(distribution_space(frame, d_k=48, d_z=4, E=1, K=3))
    assert first.distinct == 5**2 and Arch((SKIPPED, SKIPPED)) in first
    second = size_space(frame, Arch((SKIPPED, SKIPPED)), d_k=(48,), d_z=(2, 4), E=(1,), K=(3,))
    assert second.distinct == 1
    for stem in ("patch", "conv"):
        others = skippable(distribution_space(replace(frame, stem=stem), d_k=48, d_z=4, E=1, K=3))
        assert others.distinct == 4 * 5 and Arch((SKIPPED, SKIPPED)) not in others


def test_stage_2_keeps_the_distribution():
    first = distribution_space(TINY, d_k=192, d_z=4, E=1, K=31)
    arch = first.sample(np.random.default_rng(3))
    second = size_space(TINY, arch, d_k=(96, 192), d_z=(2, 4), E=(1, 2), K=(17, 31))
    drawn = second.sample(np.random.default_rng(4))
    assert [b.G for b in drawn.blocks] == [b.G for b in arch.blocks]
    assert arch in second


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"patch": 3}, "patch must divide image=224, got patch=3"),
        ({"N": 5}, "N must divide d=192, got N=5"),
        ({"M": 0}, "M must be a whole number >= 1, got 0"),
        ({"activation": "relu"}, "activation must be one of .*, got 'relu'"),
        ({"local": "conv3d"}, "local must be one of .*'conv2d', 'attention'.*, got 'conv3d'"),
        ({"stem": "pool"}, "stem must be one of .*'patch', 'conv', 'residual'.*, got 'pool'"),
        ({"pool": "max"}, "pool must be one of .*'class', 'mean'.*, got 'max'"),
        (
            {"local": "attention", "heads": 5},
            r"N x heads must divide d=192 if local = 'attention' .*, got N=3, heads=5",
        ),
    ],
)
def test_a_frame_says_which_rule_it_breaks(change, message):
    fields = {"image": 224, "channels": 3, "patch": 16, "classes": 10, "d": 192, "M": 2, "N": 3}
    with pytest.raises(InputError, match=message):
        Frame(**(fields | change))


@pytest.mark.parametrize("local", ["conv2d", "attention"])
def test_a_kernel_on_the_grid_reaches_no_farther_than_the_grid(local):
    frame = Frame(image=8, channels=1, patch=2, classes=2, d=12, M=1, N=3, local=local)
    distribution_space(frame, d_k=12, d_z=4, E=1, K=7)
    message = (
        f"K must be at most 7 if local = '{local}': it is in patches a side, "
        "and in a grid of 4 x 4 there are none farther off; got 9"
    )
    with pytest.raises(InputError, match=message):
        distribution_space(frame, d_k=12, d_z=4, E=1, K=9)
    distribution_space(replace(frame, local="conv1d"), d_k=12, d_z=4, E=1, K=45)


BEFORE = {
    "image": 8,
    "channels": 1,
    "patch": 4,
    "classes": 2,
    "d": 12,
    "M": 1,
    "N": 3,
    "heads": 1,
    "activation": "swish",
}
"""A frame in files from before there was a choice of local heads, stems and pools."""


def test_what_was_written_before_there_was_a_choice_reads_and_compares():
    frame = Frame(**BEFORE)
    assert (frame.local, frame.stem, frame.pool) == ("conv1d", "patch", "class")
    assert list(recorded(frame).items()) == list(BEFORE.items())
    space = distribution_space(frame, d_k=12, d_z=4, E=1, K=5)
    candidates = {"G": (0, 1, 2, 3), "d_k": (12,), "d_z": (4,), "E": (1,), "K": (5,)}
    assert recorded(space) == {"frame": BEFORE, "blocks": (candidates,)}


@given(spaces())
def test_a_frame_comes_back_from_its_fields(space):
    fields = recorded(space.frame)
    assert Frame(**fields) == space.frame
    for name, usual in {"local": "conv1d", "stem": "patch", "pool": "class"}.items():
        assert (name in fields) is (getattr(space.frame, name) != usual)


def test_without_a_class_token_the_tokens_are_the_patches():
    assert TINY.T == 14 * 14 + 1
    assert replace(TINY, pool="mean").T == 14 * 14


def test_an_arch_of_another_frame_is_refused():
    with pytest.raises(InputError, match="the network has M=12 blocks, got 1"):
        TINY.check_arch(Arch(TINY.all_global().blocks[:1]))
    other = Frame(image=224, channels=3, patch=16, classes=10, d=192, M=12, N=2)
    with pytest.raises(InputError, match=r"block 0: G \+ L must be N=2, got G=3, L=0"):
        other.check_arch(TINY.all_global())


def test_a_space_refuses_candidates_that_cannot_be_built():
    with pytest.raises(InputError, match="d_k must be a multiple of N x heads = 3, got 100"):
        distribution_space(TINY, d_k=100, d_z=4, E=1, K=31)
    with pytest.raises(InputError, match="candidates for M=12 blocks, got 0"):
        Space(frame=TINY, blocks=())
    with pytest.raises(InputError, match=r"K must be distinct candidates, at .*\[9, 9\]"):
        BlockSpace(G=(0,), d_k=(3,), d_z=(2,), E=(1,), K=(9, 9))


def test_the_released_space_is_what_the_release_chooses_from():
    """Its loops, written down: for each kind of block nine choices, by two sizes each."""
    released = load_preset("glit-tiny-release").space2()
    expected = {
        *(Block(G=0, L=3, d_z=4, E=E, K=K) for K in (17, 31, 45) for E in (1, 2, 4)),
        *(Block(G=3, L=0, d_k=d_k, d_z=d_z) for d_k in (96, 192, 384) for d_z in (2, 4, 6)),
        *(
            Block(G=G, L=3 - G, d_k=192, d_z=d_z, E=E, K=31)
            for G in (1, 2)
            for E in (1, 2, 4)
            for d_z in (2, 4, 6)
        ),
    }
    assert [set(choices) for choices in released.choices] == [expected] * 12
    assert released.distinct == 36**12
    arch = Arch.from_json(GLIT_TINY.read_text())
    second = load_preset("glit-tiny-release").space2(arch)
    assert arch in released and arch in second and second.distinct == 9**12
    assert arch in paper(TINY) and released.index_tuples == (81 + 27 + 2 * 9) ** 12


def test_what_a_kind_has_of_its_own_is_restored_and_left_out_if_it_has_nothing():
    plain, own = paper(TINY), load_preset("glit-tiny-release").space2()
    assert "mixed" not in as_json(plain)["blocks"][0] and "mixed" in as_json(own)["blocks"][0]
    for space in (plain, own):
        assert restored(Space, as_json(space)) == space


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"local": {"d_k": (192,)}}, "local.d_k has no meaning, a local block has no queries, got"),
        ({"mixed": {"E": (1, 1)}}, r"E must be distinct candidates, got \[1, 1\]"),
        ({"mixed": {"d_k": (100,)}}, "d_k must be a multiple of N x heads = 3, got 100"),
        ({"local": {"K": (30,)}}, "K must be odd"),
    ],
)
def test_what_a_kind_cannot_have_is_refused(kinds, message):
    with pytest.raises(InputError, match=message):
        sizes = {"d_k": (192,), "d_z": (4,), "E": (1,), "K": (31,)}
        size_space(TINY, None, **sizes, **{kind: Own(**own) for kind, own in kinds.items()})
