"""The files that a checkpoint is exported to: one table for export, verification and the demo.

Importing this is cheap; TensorFlow and ONNX are imported when a file is built.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bench_depth.core.errors import UserError

if TYPE_CHECKING:
    from ghostdepth_export.convert.source import Source


@dataclass(frozen=True)
class Limit:
    """What a file may differ from torch.

    Attributes:
        figure: A field of `verify.Parity`.
        most: The largest value that passes.
    """

    figure: Literal["max_relative_error", "si_rmse_change"]
    most: float


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Attributes:
        variant: How numbers are stored: `fp32`, `fp16`, `dynamic` or `int8`.
        suffix: `.tflite` or `.onnx`.
        input_dtype: `float32` or `uint8`; 0..255 both.
        limit: When the file fails verification.
        build: Makes the file's bytes, still without the contract.
    """

    variant: str
    suffix: str
    input_dtype: str
    limit: Limit
    build: Callable[[Source], bytes]

    @property
    def name(self) -> str:
        """What a user calls it, like `int8.tflite`."""
        return self.variant + self.suffix

    def file_name(self, checkpoint_name: str) -> str:
        """Like `ghostdepth-s-int8.tflite`."""
        return f"{checkpoint_name}-{self.name}"


def _fp32_tflite(source: Source) -> bytes:
    from ghostdepth_export.convert import tflite

    return tflite.convert(source.lowered)


def _fp16_tflite(source: Source) -> bytes:
    from ghostdepth_export.convert import tflite

    return tflite.convert(source.lowered, "float16")


def _dynamic_tflite(source: Source) -> bytes:
    from ghostdepth_export.convert import tflite

    return tflite.convert(source.lowered_without_blocks, "int8")


def _int8_tflite(source: Source) -> bytes:
    from ghostdepth_export.convert import tflite

    pictures = source.calibration() if source.ranges is None else None
    return tflite.convert_int8(source.lowered_trunk, source.lowered_tail, pictures)


def _fp32_onnx(source: Source) -> bytes:
    return bytes(source.onnx_model.SerializeToString())


def _int8_onnx(source: Source) -> bytes:
    from ghostdepth_export.convert import onnx_files

    known = None
    if source.ranges is not None:
        known = onnx_files.known_ranges(
            source.onnx_model, source.camera.trunk, source.input_shape, source.ranges
        )
    # What has no range of its own, the normalised picture, is calibrated all the same.
    model = onnx_files.convert_int8(source.onnx_model, source.calibration(), known)
    return bytes(model.SerializeToString())


# The limits of fp16 and dynamic leave room above what a briefly trained ghostdepth-s showed on 106
# real photos: largest relative error 0.0017 (fp16); change of si-RMSE 0.02 % (dynamic).
_TABLE = (
    Format("fp32", ".tflite", "float32", Limit("max_relative_error", 1e-4), _fp32_tflite),
    Format("fp16", ".tflite", "float32", Limit("max_relative_error", 2e-2), _fp16_tflite),
    Format("dynamic", ".tflite", "float32", Limit("si_rmse_change", 0.02), _dynamic_tflite),
    Format("int8", ".tflite", "uint8", Limit("si_rmse_change", 0.05), _int8_tflite),
    Format("fp32", ".onnx", "float32", Limit("max_relative_error", 1e-4), _fp32_onnx),
    Format("int8", ".onnx", "uint8", Limit("si_rmse_change", 0.05), _int8_onnx),
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
