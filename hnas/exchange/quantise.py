"""Networks in 8-bit integers: what onnxruntime makes of an ONNX graph, and what a graph answers.

The weights of matrix products are kept as integers, one scale and zero point a column. Their inputs
are rounded as they come, one scale an image batch ("dynamic" quantisation), so no images are needed
to make one. Convolutions and what else is small stay in fp32.
"""

import time
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor

from hnas.errors import InputError

BATCH = 64
"""Images at a time."""


def quantised(graph: bytes) -> bytes:
    """An ONNX graph of fp32 with its matrix products in 8-bit integers.

    Raises InputError if the `onnx` extra is not installed.
    """
    try:
        from onnxruntime.quantization import QuantType, quantize_dynamic
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise InputError(
            "--int8 needs the package 'onnxruntime': pip install 'hnas[onnx]'"
        ) from error
    with TemporaryDirectory() as temporary:  # its functions take paths
        given, shaped, made = (Path(temporary) / f"{name}.onnx" for name in ("a", "b", "c"))
        given.write_bytes(graph)
        quant_pre_process(str(given), str(shaped), skip_symbolic_shape=True)
        quantize_dynamic(
            str(shaped),
            str(made),
            op_types_to_quantize=["MatMul", "Gemm"],
            per_channel=True,
            # Signed weights overflow 16 bits on CPUs that lack VNNI: docs/export.md.
            weight_type=QuantType.QUInt8,
        )
        return made.read_bytes()


def answered(graph: bytes, batches: Iterable[Tensor]) -> tuple[Tensor, float]:
    """What an ONNX graph gives batches of normalised images float32 (B, C, H, W), by onnxruntime on
    one thread of the CPU: logits float32 (n, classes) of all, and the seconds that it took."""
    from onnxruntime import InferenceSession, SessionOptions

    options = SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors
    session = InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    spent, logits = 0.0, []
    for batch in batches:
        began = time.perf_counter()
        [found] = session.run(None, {"images": batch.numpy()})
        spent += time.perf_counter() - began
        logits.append(torch.from_numpy(found))
    return torch.cat(logits), spent
