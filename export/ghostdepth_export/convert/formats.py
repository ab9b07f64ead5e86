"""The files that a checkpoint is exported to: one table for export, verification and the demo.

Importing this is cheap; TensorFlow and ONNX are imported when a file is built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench_depth.core.errors import UserError

if TYPE_CHECKING:
    from ghostdepth_export.convert.source import ExportSource


@dataclass(frozen=True)
class Limit:
    """How much a file may differ from torch by one figure.

    Attributes:
        figure: Name of a field of `verify.Parity`.
        most: Largest value of the figure that passes.
    """

    figure: Literal["p999_relative_error", "mean_relative_error", "si_rmse_change"]
    most: float


@dataclass(frozen=True)
class Format:
    """One kind of model file.

    Attributes:
        variant: Storage of the weights and activations: `fp32`, `fp16`, `dynamic` or `int8`.
        suffix: Ending of the file's name, `.tflite` or `.onnx`.
        input_dtype: Data type of the input pixels, `float32` or `uint8`; both are 0..255.
        limits: Limits of verification; a file must pass all of them.
        build: Function that builds the file's bytes, still without the contract.
    """

    variant: str
    suffix: str
    input_dtype: str
    limits: tuple[Limit, ...]
    build: Callable[[ExportSource], bytes]

    @property
    def name(self) -> str:
        """What a user calls it, like `int8.tflite`."""
        return self.variant + self.suffix

    def file_name(self, checkpoint_name: str) -> str:
        """Like `ghostdepth-s-int8.tflite`."""
        return f"{checkpoint_name}-{self.name}"


def _fp32_tflite(source: ExportSource) -> bytes:
    from ghostdepth_export.convert import tflite

    return tflite.convert(source.lowered)


def _fp16_tflite(source: ExportSource) -> bytes:
    from ghostdepth_export.convert import tflite

    return tflite.convert(source.lowered, "float16")


def _dynamic_tflite(source: ExportSource) -> bytes:
    from ghostdepth_export.convert import tflite

    return tflite.convert(source.lowered_without_blocks, "int8")


def _int8_tflite(source: ExportSource) -> bytes:
    from ghostdepth_export.convert import tflite

    inputs = None
    if source.ranges is None:
        inputs = source.with_states(source.calibration_images())
    return tflite.convert_int8(source.lowered_trunk, source.lowered_tail, inputs)


def _fp32_onnx(source: ExportSource) -> bytes:
    return bytes(source.onnx_model.SerializeToString())


def _int8_onnx(source: ExportSource) -> bytes:
    from ghostdepth_export.convert import onnx_files

    known = None
    if source.ranges is not None:
        known = onnx_files.known_ranges(source.onnx_model, source.traced_trunk, source.ranges)
    # The normalized image has no range in the checkpoint, so calibration is still needed.
    inputs = source.with_states(source.calibration_images())
    model = onnx_files.convert_int8(source.onnx_model, inputs, known)
    return bytes(model.SerializeToString())


def _limits(**most: float) -> tuple[Limit, ...]:
    return tuple(Limit(figure, value) for figure, value in most.items())  # type: ignore[arg-type]


# The limits are on the 99.9th percentile and the mean of the relative error: a different summation
# order moves single pixels, a wrong lowering moves many. Each is above the worst error of the
# released models on any single one of 100 NYU Depth v2 images and at least 2.5 times the worst over
# 8 images. For fp32 and fp16 they are below the error of a resize with wrong corners or centres
# (2.2e-2 and 3.2e-3). docs/LOG.md has the figures.
#
# Quantization noise is as large as such a fault, so the limits of the int8 files only refuse
# useless files. These files are built from the same lowerings or graph as the fp32 files. The limit
# on mean_relative_error also catches a wrong scale, which si-RMSE ignores.
_TABLE = (
    Format(
        "fp32",
        ".tflite",
        "float32",
        _limits(p999_relative_error=2e-5, mean_relative_error=2e-6),
        _fp32_tflite,
    ),
    Format(
        "fp16",
        ".tflite",
        "float32",
        _limits(p999_relative_error=2e-2, mean_relative_error=3e-3),
        _fp16_tflite,
    ),
    Format(
        "dynamic",
        ".tflite",
        "float32",
        _limits(p999_relative_error=8e-2, mean_relative_error=1.5e-2, si_rmse_change=0.02),
        _dynamic_tflite,
    ),
    Format(
        "int8",
        ".tflite",
        "uint8",
        _limits(mean_relative_error=0.1, si_rmse_change=0.05),
        _int8_tflite,
    ),
    Format(
        "fp32",
        ".onnx",
        "float32",
        _limits(p999_relative_error=5e-5, mean_relative_error=1e-5),
        _fp32_onnx,
    ),
    Format(
        "int8",
        ".onnx",
        "uint8",
        _limits(mean_relative_error=0.1, si_rmse_change=0.05),
        _int8_onnx,
    ),
)
FORMATS = {kind.name: kind for kind in _TABLE}


def find_format(name: str) -> Format:
    """A format by its name.

    Raises:
        UserError: There is no such format.
    """
    if name not in FORMATS:
        raise UserError(f"unknown format {name!r}; choose from {', '.join(FORMATS)}")
    return FORMATS[name]
