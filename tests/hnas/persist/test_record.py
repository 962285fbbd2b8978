import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hnas.architecture.arch import Arch
from hnas.architecture.space import Frame, Space
from hnas.errors import InputError
from hnas.persist.record import later, recorded, restored
from tests.support.generators import spaces, spaces_and_archs


@dataclass(frozen=True, kw_only=True)
class Inner:
    arch: Arch
    share: float | None = None


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    counts: tuple[int, ...]
    inner: tuple[Inner, ...]
    by_name: Mapping[str, Inner | None]
    frame: Frame
    anything: Mapping[str, Any]
    flag: bool = later(False)


@st.composite
def outers(draw: st.DrawFn) -> Outer:
    space, arch = draw(spaces_and_archs())
    inner = st.builds(Inner, arch=st.just(arch), share=st.none() | st.floats(0, 1))
    return Outer(
        name=draw(st.text()),
        counts=tuple(draw(st.lists(st.integers()))),
        inner=tuple(draw(st.lists(inner, max_size=3))),
        by_name=draw(st.dictionaries(st.text(), st.none() | inner, max_size=2)),
        frame=space.frame,
        anything=draw(st.dictionaries(st.text(), st.integers() | st.none(), max_size=2)),
        flag=draw(st.booleans()),
    )


@given(outers())
def test_a_record_comes_back_from_json(outer):
    written = json.loads(json.dumps(recorded(outer)))
    assert restored(Outer, written) == outer == restored(Outer, recorded(outer))
    assert ("flag" in written) is outer.flag
    assert all(Arch.from_dict(one["arch"]) for one in written["inner"])


@given(spaces())
def test_a_space_comes_back_from_json(space):
    assert restored(Space, json.loads(json.dumps(recorded(space)))) == space


FRAME = {
    "image": 8,
    "channels": 1,
    "patch": 4,
    "classes": 2,
    "d": 12,
    "M": 1,
    "N": 3,
}
BLOCK = {"G": [3], "d_k": [12], "d_z": [4], "E": [1], "K": [31]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "Space must be an object, got []"),
        ({"frame": FRAME}, "Space lacks the field blocks"),
        ({"frame": FRAME, "blocks": [], "x": 1}, "Space has no field x"),
        ({"frame": FRAME, "blocks": 3}, "blocks must be tuple, got 3"),
        ({"frame": 3, "blocks": [BLOCK]}, "frame must be an object, got 3"),
        ({"frame": {**FRAME, "d": 1.5}, "blocks": [BLOCK]}, "frame.d must be int, got 1.5"),
        ({"frame": {**FRAME, "N": True}, "blocks": [BLOCK]}, "frame.N must be int, got True"),
        ({"frame": {**FRAME, "N": 5}, "blocks": [BLOCK]}, "frame: N must divide d=12, got N=5"),
        ({"frame": FRAME, "blocks": [{**BLOCK, "K": ["x"]}]}, "blocks[0].K[0] must be int, got"),
        ({"frame": FRAME, "blocks": [{**BLOCK, "K": []}]}, "blocks[0]: K must be distinct"),
        ({"frame": FRAME, "blocks": []}, "a space needs candidates for M=1 blocks, got 0"),
    ],
)
def test_what_is_no_such_record_is_refused_by_the_name_of_its_field(value, message):
    with pytest.raises(InputError) as caught:
        restored(Space, value)
    assert str(caught.value).startswith(message)


@dataclass(frozen=True, kw_only=True, eq=False)
class Arrays:
    index: npt.NDArray[np.int64]


def test_an_array_comes_back_with_its_type():
    made = Arrays(index=np.array([3, 1, 2]))
    found = restored(Arrays, json.loads(json.dumps(recorded(made)))).index
    assert found.dtype == np.int64 and found.tolist() == [3, 1, 2]
    for wrong in ([1.5], [[1], [2, 3]], "12", [2**70]):
        with pytest.raises(InputError, match="index must be a list of int64, got"):
            restored(Arrays, {"index": wrong})


def test_what_was_got_is_shown_to_80_characters():
    for letters, shown in ((78, "'" + "x" * 78 + "'"), (79, "'" + "x" * 76 + "...")):
        with pytest.raises(InputError) as caught:
            restored(Space, "x" * letters)
        assert str(caught.value) == f"Space must be an object, got {shown}"


def test_an_architecture_within_a_record_names_its_field():
    with pytest.raises(InputError, match=r"^arch: block 0 must be an object, got int"):
        restored(Inner, {"arch": {"blocks": [1]}})
