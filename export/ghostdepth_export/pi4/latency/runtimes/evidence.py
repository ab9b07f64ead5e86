"""What is known of the latency in LiteRT and ONNX Runtime from published times.

A core needs as many milliseconds for a cycle and for a line of memory whatever library asks for
them, so the coefficients are those of TensorFlow Lite 2.5 on the same board. XNNPACK reads the
inputs of its products in place, without packing them, and so waits for the second cache, which the
cores share: `near`, the milliseconds of a line from there, is the one number that
benchmarks/latency/runtimes.py fits to published times. It and the error stand in runtimes.json.
ONNX Runtime has XNNPACK's `near`, since what is published of it is of an older version; its band is
made to hold all of that.
"""

from __future__ import annotations

import dataclasses
from importlib import resources

from bench_depth.core.files import read_json
from ghostdepth_export.pi4.latency.boards import DEFAULT_BOARD, board_coefficients
from ghostdepth_export.pi4.latency.coefficients import Coefficients, ErrorOf, shipped

SCHEMA = "ghostdepth-runtimes/1"


def runtime_coefficients(runtime: str, board: str = DEFAULT_BOARD) -> Coefficients:
    """The coefficients of a runtime on a board.

    Args:
        runtime: `2.5`, `litert` or `onnxruntime`.
        board: Name of the board.

    Raises:
        UserError: There is no such board.
    """
    if runtime == "2.5":
        return board_coefficients(board)
    with resources.as_file(resources.files(__package__) / "runtimes.json") as path:
        value = read_json(path)
    assert value["schema"] == SCHEMA, path
    known = value["runtimes"][runtime]
    base = shipped()
    start = dataclasses.replace(
        base,
        near=known["near"],
        runtime=runtime,
        errors=(ErrorOf(None, known["error"]),),
        calibrated=frozenset(known["calibrated"]),
        uncalibrated_error=known["uncalibrated_error"],
    )
    return board_coefficients(board, start)
