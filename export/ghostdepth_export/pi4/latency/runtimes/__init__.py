"""Predicts a model's latency in LiteRT (XNNPACK) and in ONNX Runtime."""

from ghostdepth_export.pi4.latency.runtimes.evidence import runtime_coefficients
from ghostdepth_export.pi4.latency.runtimes.pools import in_nhwc, share
from ghostdepth_export.pi4.latency.runtimes.prediction import (
    core,
    predict_counts,
    predict_runtime_latencies,
)
from ghostdepth_export.pi4.latency.runtimes.stored import read_stored, write_stored
from ghostdepth_export.pi4.latency.runtimes.structure import Structure, read_structure

__all__ = [
    "Structure",
    "core",
    "in_nhwc",
    "predict_counts",
    "predict_runtime_latencies",
    "read_stored",
    "read_structure",
    "runtime_coefficients",
    "share",
    "write_stored",
]
