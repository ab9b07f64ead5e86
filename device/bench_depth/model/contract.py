"""The model contract: what goes into a depth model and what comes out, carried in its own file."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.core.jsonable import build

SCHEMA = "ghostdepth-model/1"
METADATA_NAME = "ghostdepth_contract"


@dataclass(frozen=True)
class ModelContract:
    """What a model file promises.

    Attributes:
        name: The checkpoint's name.
        variant: How numbers are stored: `fp32`, `fp16`, `dynamic` or `int8`.
        input_height: Pixels; any resizing to the network's own size happens in the file's graph.
        input_width: Pixels.
        input_dtype: `float32` or `uint8`.
        input_layout: `NHWC`.
        input_color: `RGB`.
        input_range: Smallest and largest value of a pixel, usually (0, 255).
        output_height: Pixels.
        output_width: Pixels.
        output_dtype: `float32`.
        output_layout: `NHWC`.
        output_quantity: `depth`.
        output_unit: `m`.
        output_range: Smallest and largest depth that the network can give, metres.
        minimum_runtime: The oldest runtime that has all the file's ops, like `2.3.0`.
        checkpoint_sha256: Of the weights the file was made from.
        training_data: What it was trained on, for people.
        metrics: Metrics of the checkpoint, as its author measured them.
        created_by: The program and its version.
    """

    name: str
    variant: str
    input_height: int
    input_width: int
    input_dtype: str
    input_layout: str
    input_color: str
    input_range: tuple[float, float]
    output_height: int
    output_width: int
    output_dtype: str
    output_layout: str
    output_quantity: str
    output_unit: str
    output_range: tuple[float, float]
    minimum_runtime: str
    checkpoint_sha256: str
    training_data: str
    metrics: dict[str, Any]
    created_by: str

    def to_json(self) -> str:
        """The contract as one line of JSON, as it stands in a model file."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> ModelContract:
        """The inverse of `to_json`.

        Raises:
            ValueError: The text is not JSON, of another schema, or a field is missing or wrong.
        """
        value = json.loads(text)
        schema = value.get("schema") if isinstance(value, dict) else None
        if schema != SCHEMA:
            raise ValueError(f"its schema is {schema!r}, this program reads {SCHEMA!r}")
        return build(cls, value)


def read_contract(path: Path) -> Optional[ModelContract]:
    """The contract inside a .tflite or .onnx file; None when the file carries none.

    Only the file's outer structure is read; no runtime is needed.

    Raises:
        UserError: The file cannot be read (exit code 2), is damaged, or its contract is not one
            that this version understands (exit code 3).
    """
    from bench_depth.model import onnx_file, tflite_file

    data = read_model_bytes(path)
    reader = onnx_file.read_metadata if Path(path).suffix == ".onnx" else tflite_file.read_metadata
    try:
        found = reader(data, METADATA_NAME)
    except ValueError as error:
        raise UserError(
            f"{path} is damaged or truncated ({error}); copy or export it again", MODEL_FAILED
        ) from error
    if found is None:
        return None
    try:
        return ModelContract.from_json(found.decode())
    except ValueError as error:
        raise UserError(
            f"the contract in {path} cannot be read: {error}; export the file again, or update "
            "bench-depth",
            MODEL_FAILED,
        ) from error


def read_model_bytes(path: Path) -> bytes:
    """The whole file.

    Raises:
        UserError: It is missing or cannot be read (exit code 2).
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
