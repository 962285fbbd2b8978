"""Networks in 8-bit integers: near those in fp32, and smaller."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
import torch

from hnas.architecture.space import LOCALS, Frame
from hnas.errors import InputError
from hnas.exchange.export import Network, as_onnx
from hnas.exchange.quantise import answered, quantised
from hnas.network.glit import Glit
from tests.support.needs_onnx import needs_onnx

FRAME = Frame(image=8, channels=1, patch=4, classes=3, d=48, M=2, N=3)


def network(frame: Frame) -> Network:
    block = {"G": 1, "L": 2, "d_k": 48, "d_z": 4, "E": 2, "K": 3}
    arch = type(frame.all_global()).from_dict({"blocks": [block] * frame.M})
    model = Glit(frame, arch).reset(0).eval()
    return Network(model=model, classes=("a", "b", "c"), mean=(0.5,), std=(0.25,))


@pytest.mark.parametrize("local", LOCALS)
def test_logits_are_near_those_of_fp32_in_a_third_of_the_bytes(local: str) -> None:
    needs_onnx()
    import onnx

    graph = as_onnx(network(replace(FRAME, local=local)))
    made = quantised(graph)
    kinds = {node.op_type for node in onnx.load_model_from_string(made).graph.node}
    assert "MatMulInteger" in kinds and "ConvInteger" not in kinds
    assert len(made) < 0.6 * len(graph)
    images = torch.randn(70, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    (exact, _), (rounded, seconds) = (answered(each, images.split(64)) for each in (graph, made))
    assert rounded.shape == (70, 3) and seconds > 0
    spread = exact.std()
    assert 0 < (rounded - exact).abs().max() < 0.2 * spread  # rounded, and not clipped


def test_it_says_which_package_it_misses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", None)
    with pytest.raises(InputError, match=r"^--int8 needs the package 'onnxruntime': pip install"):
        quantised(b"")
