import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, IntDistribution

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
from hnas.studies.trials.encoding import decode, distributions, encode, used
from tests.support.generators import spaces, spaces_and_archs

FRAME = Frame(image=32, channels=3, patch=4, classes=10, d=192, M=3, N=3)
SIZES = {"d_k": (96, 192, 384), "d_z": (2, 4, 6), "E": (1, 2, 4), "K": (17, 31, 45)}


@given(spaces_and_archs())
def test_decode_is_the_inverse_of_encode(pair):
    space, arch = pair
    params = encode(space, arch)
    assert list(params) == list(distributions(space))
    assert decode(space, params) == arch


@given(spaces_and_archs())
def test_what_is_not_used_is_stored_and_left_out_else(pair):
    space, arch = pair
    params, chosen = encode(space, arch), used(space, arch)
    assert chosen.items() <= params.items()
    for name in params:
        value = getattr(block := arch.blocks[int(name[1:3]) - 1], size := name.split(".")[1])
        kind, own = space.blocks[0].own(block.G, space.frame.N)
        its = kind if size != "G" and getattr(own, size) else ""
        makes = name.split(".")[2:] == [its] * bool(its)
        assert (name in chosen) == (value is not None and makes)


@given(st.data())
def test_whatever_the_parameters_the_architecture_is_one_of_the_space(data):
    space = data.draw(spaces())
    params = {
        name: data.draw(
            st.sampled_from(free.choices)
            if isinstance(free, CategoricalDistribution)
            else st.integers(free.low, free.high)
        )
        for name, free in distributions(space).items()
    }
    arch = decode(space, params)
    assert arch in space
    assert decode(space, encode(space, arch)) == arch


def test_stage_1_has_one_whole_number_a_block():
    space = distribution_space(FRAME, d_k=192, d_z=4, E=1, K=31)
    assert distributions(space) == {f"b0{i}.G": IntDistribution(0, 3) for i in (1, 2, 3)}


def test_a_block_that_may_be_skipped_has_one_more_number():
    space = skippable(distribution_space(FRAME, d_k=192, d_z=4, E=1, K=31))
    low = {"b01.G": 0, "b02.G": -1, "b03.G": -1}
    assert distributions(space) == {name: IntDistribution(its, 3) for name, its in low.items()}
    block = FRAME.block(2, 192, 4, 1, 31)
    arch = Arch((block, SKIPPED, block))
    assert encode(space, arch) == {"b01.G": 2, "b02.G": -1, "b03.G": 2}
    whole = skippable(size_space(FRAME, None, d_k=(192,), d_z=(2, 4), E=(1,), K=(31,)))
    assert set(used(whole, arch)) == {"b01.G", "b01.d_z", "b02.G", "b03.G", "b03.d_z"}
    assert decode(whole, encode(whole, arch)) == arch


def test_stage_2_has_the_sizes_that_a_block_can_use():
    distribution = Arch(
        (
            Block(G=3, L=0, d_k=192, d_z=4),
            Block(G=0, L=3, d_z=4, E=1, K=31),
            Block(G=1, L=2, d_k=192, d_z=4, E=1, K=31),
        )
    )
    found = distributions(size_space(FRAME, distribution, **SIZES))
    expected = ["b01.d_k", "b01.d_z"]
    expected += ["b02.d_z", "b02.E", "b02.K"]
    expected += ["b03.d_k", "b03.d_z", "b03.E", "b03.K"]
    assert list(found) == expected
    assert found["b01.d_k"] == CategoricalDistribution((96, 192, 384))


def test_the_whole_space_has_all_parameters_and_unused_ones_do_not_matter():
    space = size_space(FRAME, None, **SIZES)
    assert len(distributions(space)) == 3 * 5
    arch = FRAME.all_global()
    params = encode(space, arch)
    assert params["b02.E"] == 1 and params["b02.K"] == 17
    assert decode(space, {**params, "b02.E": 4, "b02.K": 45}) == arch


def test_a_size_with_one_candidate_is_no_parameter_and_one_with_a_gap_is_a_category():
    block = BlockSpace(G=(0, 3), d_k=(192,), d_z=(2, 4), E=(1,), K=(31,))
    found = distributions(Space(frame=FRAME, blocks=(block,) * 3))
    assert list(found)[:3] == ["b01.G", "b01.d_z", "b02.G"]
    assert found["b01.G"] == CategoricalDistribution((0, 3))


def test_an_architecture_of_another_space_is_refused():
    space = distribution_space(FRAME, d_k=192, d_z=4, E=1, K=31)
    other = Arch((Block(G=3, L=0, d_k=96, d_z=4),) * 3)
    with pytest.raises(InputError, match=r'must be one of the space\'s 64 .* got {"blocks"'):
        encode(space, other)


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"b01.G": 4, "b02.G": 0, "b03.G": 0}, r"b01.G must be one of \(0, 1, 2, 3\), got 4"),
        ({"b01.G": 0, "b02.G": 0}, r"b03.G must be one of \(0, 1, 2, 3\), got None"),
        ({"b01.G": 0, "b02.G": 0, "b03.G": 0, "b04.G": 0}, "has no parameters b04.G"),
    ],
)
def test_parameters_of_another_space_are_refused(params, text):
    space = distribution_space(FRAME, d_k=192, d_z=4, E=1, K=31)
    with pytest.raises(InputError, match=text):
        decode(space, params)


def test_what_a_kind_of_block_chooses_from_its_own_list_is_a_parameter_of_its_own():
    own = {"mixed": Own(d_k=(192,), K=(31,)), "local": Own(d_z=(4,), K=(9, 17))}
    space = size_space(FRAME, None, **SIZES, **own)
    first = [name for name in distributions(space) if name.startswith("b01")]
    assert first == ["b01.G", "b01.d_k", "b01.d_z", "b01.E", "b01.K.local"]
    params = encode(space, FRAME.all_global())
    assert params["b01.K.local"] == 9
    local = decode(space, {**params, "b01.G": 0, "b01.d_z": 6, "b01.E": 2, "b01.K.local": 17})
    assert local.blocks[0] == Block(G=0, L=3, d_z=4, E=2, K=17)
    mixed = decode(space, {**params, "b01.G": 1, "b01.d_k": 384, "b01.d_z": 6, "b01.K.local": 17})
    assert mixed.blocks[0] == Block(G=1, L=2, d_k=192, d_z=6, E=1, K=31)
