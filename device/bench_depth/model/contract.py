"""The model contract: the input and output of a depth model, stored in its own file."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Optional, Union

from bench_depth.core.bounds import within
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.core.files import read_regular
from bench_depth.core.json_text import dumps, loads
from bench_depth.core.jsonable import build

SCHEMA = "ghostdepth-model/1"
METADATA_NAME = "ghostdepth_contract"
# Names of the second input and the second output of a stream's model.
STATE_IN, STATE_OUT = "state_in", "state_out"


@dataclass(frozen=True)
class StateTensor:
    """The state that a stream's model carries from frame to frame; it is empty where all is 0.

    Attributes:
        input: Name of the input that takes the state after the frame before.
        output: Name of the output that gives the state after this frame.
        shape: Size of each axis of both.
        dtype: Dtype of both, `float32` or `int8`.
        scale: Scale of an int8 state, whose values are scale * (integer - zero point).
        zero_point: The integer of an int8 state that stands for 0.
    """

    input: str
    output: str
    shape: tuple[int, int, int, int]
    dtype: str
    scale: float = 1.0
    zero_point: int = 0


@dataclass(frozen=True)
class ModelContract:
    """The contract of a model file.

    Attributes:
        name: Name of the checkpoint.
        variant: Storage format of the weights: `fp32`, `fp16`, `dynamic` or `int8`.
        input_height: Height of the input, pixels; the file's graph resizes to the network's size.
        input_width: Width of the input, pixels.
        input_dtype: Dtype of the input, `float32` or `uint8`.
        input_layout: Layout of the input, `NHWC`.
        input_color: Order of the channels, `RGB`.
        input_range: Smallest and largest value of a pixel, usually (0, 255).
        output_height: Height of the output, pixels.
        output_width: Width of the output, pixels.
        output_dtype: Dtype of the output, `float32`.
        output_layout: Layout of the output, `NHWC` or `NHCW` (1xHx1xW, which holds the same bytes).
        output_quantity: Quantity of the output, `depth`.
        output_unit: Unit of the output, `m`.
        output_range: Smallest and largest depth that the network can output, metres.
        minimum_runtime: Oldest version of the runtime that supports all ops, like `2.3.0`.
        checkpoint_sha256: SHA-256 of the weights that the file was exported from.
        training_data: Description of the training data.
        metrics: Metrics of the checkpoint, as measured by its author.
        created_by: Name and version of the program that wrote the file.
        state: State of a stream; None for a model that takes every picture by itself.
        hfov: Horizontal field of view in degrees of the camera whose pictures get metres; None
            where the training data did not say it.
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
    state: Optional[StateTensor] = None
    hfov: Optional[float] = None

    def to_json(self) -> str:
        """Returns the contract as one line of JSON, the form stored in a model file."""
        fields = asdict(self)
        for name in ("state", "hfov"):
            if fields[name] is None:
                del fields[name]
        return dumps({"schema": SCHEMA, **fields})

    @classmethod
    def from_json(cls, text: Union[str, bytes]) -> ModelContract:
        """Parses the text that `to_json` returned.

        Raises:
            ValueError: The text is not JSON, of another schema, or a field is missing or wrong.
        """
        value = loads(text)
        schema = value.get("schema") if isinstance(value, dict) else None
        if schema != SCHEMA:
            raise ValueError(f"its schema is {schema!r}, this program reads {SCHEMA!r}")
        contract = build(cls, value)
        if contract.hfov is not None and not within("hfov", contract.hfov):
            raise ValueError(f"its horizontal field of view is {contract.hfov:g} degrees")
        near, far = contract.output_range
        if not 0 <= near < far < math.inf:
            raise ValueError(f"its output_range is {near:g} to {far:g} m")
        return contract


def read_contract(path: Path) -> Optional[ModelContract]:
    """Reads the contract in a .tflite or .onnx file; None when the file has none.

    Only the file's outer structure is read; no runtime is needed.

    Raises:
        UserError: The file cannot be read (exit code 2), is damaged, or its contract is not one
            that this version understands (exit code 3).
    """
    from bench_depth.model.readers import onnx_file, tflite_file

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
        return ModelContract.from_json(found)
    except ValueError as error:
        raise UserError(
            f"the contract in {path} cannot be read: {error}; export the file again, or update "
            "bench-depth",
            MODEL_FAILED,
        ) from error


def read_model_bytes(path: Path) -> bytes:
    """Reads a whole model file.

    Raises:
        UserError: The file is missing, no regular file, or cannot be read (exit code 2).
    """
    return read_regular(Path(path))
