"""Tests that make ONNX files, where that can be done."""

from __future__ import annotations

import pytest
import torch


def needs_onnx() -> None:
    """Skips a test without the extra, and with a torch whose exporter fails with its packages."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="needs the onnx extra")
    if torch.__version__.startswith("2.6."):
        pytest.skip("torch 2.6 cannot export a batch norm with today's onnxscript")
