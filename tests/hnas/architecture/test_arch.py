import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnas.architecture.arch import Arch, Block
from hnas.errors import InputError
from tests.support.generators import spaces_and_archs


@given(spaces_and_archs())
def test_json_round_trips(drawn):
    _, arch = drawn
    again = Arch.from_json(arch.to_json())
    assert again == arch and hash(again) == hash(arch)


def test_json_is_the_documented_one():
    arch = Arch((Block(G=3, L=0, d_k=192, d_z=4), Block(G=0, L=3, d_z=4, E=2, K=31)))
    assert arch.to_dict() == {
        "blocks": [
            {"G": 3, "L": 0, "d_k": 192, "d_z": 4},
            {"G": 0, "L": 3, "d_z": 4, "E": 2, "K": 31},
        ]
    }


@pytest.mark.parametrize("value", [1.0, True, "1"])
def test_a_size_of_another_type_is_refused_though_its_equal_was_read_before(value):
    right = {"G": 1, "L": 0, "d_k": 4, "d_z": 4}
    read = [Arch.from_dict({"blocks": [dict(right)]}).blocks[0] for _ in range(2)]
    assert read[0] is read[1]
    with pytest.raises(InputError, match="block 0: G must be a whole number"):
        Arch.from_dict({"blocks": [{**right, "G": value}]})


def test_canonical_blocks_of_different_unused_sizes_are_equal():
    one = Block.of(G=3, L=0, d_k=48, d_z=4, E=1, K=9)
    other = Block.of(G=3, L=0, d_k=48, d_z=4, E=4, K=17)
    assert one == other and one.E is None and one.K is None
    assert Block.of(G=0, L=3, d_k=48, d_z=4, E=1, K=9).d_k is None


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"G": 1, "L": 2, "d_z": 4, "E": 1, "K": 9}, "d_k is needed if G > 0"),
        ({"G": 0, "L": 3, "d_z": 4, "d_k": 8, "E": 1, "K": 9}, "d_k has no meaning if G = 0"),
        ({"G": 3, "L": 0, "d_z": 4, "d_k": 8, "K": 9}, "K has no meaning if L = 0, got K=9"),
        ({"G": 0, "L": 3, "d_z": 4, "E": 1, "K": 8}, r"K must be odd .*, got 8"),
        ({"G": 0, "L": 0, "d_z": 4}, "G \\+ L >= 1"),
        ({"G": -1, "L": 3, "d_z": 4, "E": 1, "K": 9}, "G must be a whole number >= 0, got -1"),
        ({"G": 0, "L": 0, "d_z": 0, "d_k": 8}, "d_k has no meaning if G = 0, got d_k=8"),
        ({"G": True, "L": 3, "d_z": 4, "E": 1, "K": 9}, "got True"),
        ({"G": 3, "L": 0, "d_z": 0, "d_k": 8}, "d_z must be a whole number >= 1, got 0"),
    ],
)
def test_a_block_says_which_rule_it_breaks(fields, message):
    with pytest.raises(InputError, match=message):
        Block(**fields)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be JSON"),
        ("[]", "one key 'blocks', got list"),
        ('{"layers": []}', r"one key 'blocks', got \['layers'\]"),
        ('{"blocks": {}}', "'blocks' must be a list, got dict"),
        ('{"blocks": []}', "at least one block"),
        ('{"blocks": [3]}', "block 0 must be an object, got int"),
        ('{"blocks": [{"G": 1}]}', r"missing: \['L', 'd_z'\]"),
        ('{"blocks": [{"G": 3, "L": 0, "d_z": 4, "dk": 1}]}', r"unknown: \['dk'\]"),
        ('{"blocks": [{"G": 3, "L": 0, "d_z": 4, "d_k": "8"}]}', "block 0: d_k must be a whole"),
        ("[" * 100_000, "must be JSON"),
    ],
)
def test_json_of_a_wrong_shape_is_refused_with_its_place(text, message):
    with pytest.raises(InputError, match=message):
        Arch.from_json(text)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(("blocks", "G", "L", "d_k", "d_z", "E", "K", "x")), inner)
    ),
    max_leaves=12,
)


@given(values)
def test_any_json_gives_an_arch_or_an_input_error(value):
    try:
        arch = Arch.from_json(json.dumps(value))
    except InputError:
        return
    assert Arch.from_json(arch.to_json()) == arch
