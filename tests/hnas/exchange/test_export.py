import contextlib
import json
import time
from dataclasses import replace
from io import BytesIO
from zipfile import ZipFile, ZipInfo

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hnas.architecture.space import LOCALS, NAMED, Frame, size_space
from hnas.errors import CheckpointError, InputError
from hnas.exchange.export import (
    DESCRIBED,
    FORMS,
    NO_TIME,
    Network,
    as_onnx,
    as_pt2,
    is_network,
    load,
    save,
    undated,
)
from hnas.network.glit import Glit
from tests.support.generators import spaces_and_archs
from tests.support.needs_onnx import needs_onnx
from tests.support.peak import peak_of

FRAME = Frame(image=8, channels=1, patch=4, classes=3, d=12, M=2, N=3)


def network(frame: Frame = FRAME, arch=None, seed: int = 0) -> Network:
    if arch is None:
        space = size_space(frame, None, d_k=(6, 12), d_z=(2, 4), E=(1, 2), K=(3,))
        choices = space.choices[0]
        arch = type(frame.all_global())((choices[0], choices[len(choices) // 2]))
    model = Glit(frame, arch).reset(seed)
    with torch.no_grad():  # running statistics that are not the initial ones
        generator = torch.Generator().manual_seed(seed)
        size = (4, frame.channels, frame.image, frame.image)
        model(torch.randn(size, generator=generator))
    model.eval()
    names = tuple(f"class {i}" for i in range(frame.classes))
    channels = frame.channels
    return Network(model=model, classes=names, mean=(0.5,) * channels, std=(0.25,) * channels)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(spaces_and_archs())
def test_what_was_saved_comes_back_bit_for_bit(tmp_path, drawn):
    space, arch = drawn
    frame = space.frame
    made = network(frame, arch)
    save(made, tmp_path / "net", force=True)
    again = load(tmp_path / "net")
    x = torch.randn(3, frame.channels, frame.image, frame.image)
    with torch.no_grad():
        assert torch.equal(made.model(x), again.model(x))
    assert again.model.arch == arch and again.model.frame == frame
    assert (again.classes, again.mean, again.std) == (made.classes, made.mean, made.std)
    assert not again.model.training


def test_what_is_a_network_is_said_by_its_description(tmp_path):
    save(network(), tmp_path / "net")
    assert is_network(tmp_path / "net")
    assert not is_network(tmp_path / "another")
    for i, text in enumerate(("{", "[]", "{}", '{"format": "mine"}', "5")):
        (tmp_path / f"{i}.json").write_text(text)
        assert not is_network(tmp_path / str(i))


def test_the_two_files_and_nothing_else(tmp_path):
    files = save(network(), tmp_path / "net.safetensors")
    assert sorted(tmp_path.iterdir()) == sorted(files)
    value = json.loads((tmp_path / "net.json").read_text())
    assert value["format"] == "hnas-network-1" and value["arch"]["blocks"][0]["G"] == 0


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("net.json", b"{", "net.json does not describe a network"),
        ("net.json", b'{"format": "other"}', "its format must be 'hnas-network-1', got 'other'"),
        ("net.safetensors", b"torn", "net.safetensors does not hold the weights"),
        ("net.safetensors", None, "net.safetensors cannot be read: No such file"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, name, content, message):
    save(network(), tmp_path / "net")
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path / "net")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300))
def test_any_weights_give_a_network_or_one_of_our_errors(tmp_path, data):
    save(network(), tmp_path / "net", force=True)
    (tmp_path / "net.safetensors").write_bytes(data)
    with pytest.raises(CheckpointError, match="does not hold the weights"):
        load(tmp_path / "net")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.sampled_from(("image", "patch", "channels", "classes", "d", "M", "N", "heads")),
    st.one_of(st.integers(-(2**70), 2**70), st.integers(1, 10**7), st.none(), st.text(max_size=3)),
)
def test_any_size_that_a_file_claims_takes_no_memory_and_is_one_of_our_errors(
    tmp_path, name, value
):
    """Only what the weights' own file has is allocated: sizes up to 2^70 take no time."""
    save(network(), tmp_path / "net", force=True)
    described = json.loads((tmp_path / "net.json").read_text())
    if described["frame"][name] == value:
        return
    described["frame"][name] = value
    (tmp_path / "net.json").write_text(json.dumps(described))

    def loads() -> None:
        with contextlib.suppress(CheckpointError):
            found = load(tmp_path / "net")
            assert name == "heads"  # it has no weights of its own
            assert found.model.frame.heads == value

    assert peak_of(loads) < 100 * 2**20


def test_weights_of_another_arch_are_refused(tmp_path):
    save(network(), tmp_path / "a")
    save(network(arch=FRAME.all_global()), tmp_path / "b")
    (tmp_path / "b.safetensors").replace(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match="does not hold the weights of the network"):
        load(tmp_path / "a")


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"--to .*cannot be written: No such file"):
        save(network(), tmp_path / "absent" / "net")


KINDS = [{"local": "conv1d"}, {"stem": "conv", "pool": "mean", "local": "conv2d"}]
KINDS += [{"stem": "residual", "pool": "mean", "local": "attention"}]
"""Each local head, stem and pool, in as few networks as have them: a graph takes seconds."""


def test_all_kinds_of_parts_are_exported() -> None:
    assert {kind["local"] for kind in KINDS} == {*LOCALS}
    assert {kind.get("stem", "patch") for kind in KINDS} == {*NAMED["stem"]}


@pytest.mark.parametrize("change", KINDS, ids=lambda change: " ".join(change.values()))
def test_pt2_gives_the_same_logits_and_says_what_it_is(tmp_path, change):
    made = network(replace(FRAME, **change))
    *_, file = save(made, tmp_path / "net", also=("pt2",))
    extra = {DESCRIBED: ""}
    graph = torch.export.load(file, extra_files=extra).module()
    for batch in (1, 5):
        x = torch.randn(batch, 1, 8, 8)
        with torch.no_grad():
            torch.testing.assert_close(graph(x), made.model(x), rtol=1e-5, atol=1e-5)
    assert json.loads(extra[DESCRIBED]) == json.loads((tmp_path / "net.json").read_text())


def test_an_archive_without_times_has_the_same_bytes_whenever_it_was_made():
    """Torch 2.6 writes the times of an export, newer ones none."""

    def archive(*time: int) -> bytes:
        buffer = BytesIO()
        with ZipFile(buffer, "w") as made:
            for name in ("version", "extra_files/network.json"):
                made.writestr(ZipInfo(name, time), name * 9)
        return buffer.getvalue()

    one, other = archive(2026, 11, 27, 0, 35, 6), archive(2026, 11, 27, 0, 35, 8)
    assert one != other and undated(one) == undated(other) == archive(*NO_TIME)
    assert undated(undated(one)) == undated(one)


def test_the_same_network_is_the_same_pt2(monkeypatch):
    made = network()
    first = as_pt2(made)
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 3600)
    assert as_pt2(made) == first


@pytest.mark.parametrize("change", KINDS, ids=lambda change: " ".join(change.values()))
def test_onnx_gives_the_same_logits(tmp_path, capfd, change):
    needs_onnx()
    import onnxruntime

    made = network(replace(FRAME, **change))
    *_, file = save(made, tmp_path / "net", also=("onnx",))
    assert capfd.readouterr() == ("", "")  # nothing of the exporter's own
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for batch in (1, 5):
        x = torch.randn(batch, 1, 8, 8)
        [found] = session.run(None, {"images": x.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(found), made.model(x), rtol=1e-4, atol=1e-5)


def test_onnx_says_that_torch_cannot(monkeypatch):
    pytest.importorskip("onnxscript", reason="needs the onnx extra")

    def fail(*args, **more):
        raise torch.onnx.OnnxExporterError("Failed to convert.\nNext steps")

    monkeypatch.setattr(torch.onnx, "export", fail)
    message = (
        r"^ONNX export: torch 2\.\S+ cannot, with onnxscript \S+: Failed to convert\. Take a n"
    )
    with pytest.raises(InputError, match=message):
        as_onnx(network())


def test_onnx_says_which_package_it_misses(tmp_path, monkeypatch):
    monkeypatch.setattr("hnas.exchange.export.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs the package 'onnx': pip install 'hnas\[onnx\]'"):
        as_onnx(network())


NAMES = ("net-0.98", "net.v2", "net.tar.gz", "net.", ".net", "net 1#%?'é")


@pytest.fixture(scope="module")
def graph():
    """What pt2 is of `network()`: it takes half a second."""
    return FORMS["pt2"](network())


@pytest.mark.parametrize("name", NAMES)
def test_a_name_with_dots_stays_whole(tmp_path, monkeypatch, graph, name):
    monkeypatch.setitem(FORMS, "pt2", lambda network: graph)
    made = network()
    for asked in (name, f"{name}.safetensors", f"{name}.json"):
        files = save(made, tmp_path / asked, also=("py", "pt2"))
        assert [file.name for file in files] == [
            f"{name}.{form}" for form in ("safetensors", "json", "py", "pt2")
        ]
        assert load(tmp_path / asked).classes == made.classes
    assert len(list(tmp_path.iterdir())) == 4


def test_a_name_that_is_none(tmp_path):
    for path in (tmp_path / "..", type(tmp_path)(".")):
        with pytest.raises(InputError, match="must end in the name of a file"):
            save(network(), path)


@pytest.mark.parametrize(
    ("there", "content"),
    [
        ("net.json", b'{"mine": 1}'),
        ("net.safetensors", b""),
        ("net.py", b"print(1)"),
        ("net.pt2", b"hnas-network-1"),
        ("net.onnx", b"torn"),
    ],
)
def test_a_file_of_others_stays_and_nothing_is_written(tmp_path, monkeypatch, there, content):
    forms = ("py", "pt2", "onnx")
    for form in forms[1:]:  # both take seconds
        monkeypatch.setitem(FORMS, form, lambda network: b"graph of a network")
    (tmp_path / there).write_bytes(content)
    asked = rf"--to .*net: .*{there} is there, with something else .*or --force to replace it"
    with pytest.raises(InputError, match=asked):
        save(network(), tmp_path / "net", also=forms)
    assert [path.name for path in tmp_path.iterdir()] == [there]
    assert (tmp_path / there).read_bytes() == content
    save(network(), tmp_path / "net", also=forms, force=True)
    assert load(tmp_path / "net").classes == network().classes
    assert (tmp_path / there).read_bytes() != content


def test_another_network_is_not_replaced_the_same_is_written_again(tmp_path):
    files = save(network(seed=0), tmp_path / "net", also=("py",))
    was = {file: file.read_bytes() for file in files}
    with pytest.raises(InputError, match=r"net.safetensors is there, with something else"):
        save(network(seed=1), tmp_path / "net", also=("py",))
    (tmp_path / "net.json").unlink()  # as a kill leaves it
    save(network(seed=0), tmp_path / "net", also=("py",))
    assert {file: file.read_bytes() for file in files} == was
    renamed = replace(network(seed=0), classes=("a", "b", "c"))
    with pytest.raises(InputError, match=r"net.json is there, with something else"):
        save(renamed, tmp_path / "net")
    save(network(seed=1), tmp_path / "net", force=True)
    assert (tmp_path / "net.safetensors").read_bytes() != was[tmp_path / "net.safetensors"]


@pytest.mark.parametrize("there", ["net.json", "net.safetensors"])
def test_a_folder_of_the_name_stays(tmp_path, there):
    (tmp_path / there).mkdir()
    for force in (False, True):
        with pytest.raises(InputError, match=f"{there} is there"):
            save(network(), tmp_path / "net", force=force)
    assert [path.name for path in tmp_path.iterdir()] == [there]
