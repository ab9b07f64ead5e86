"""Which TensorFlow Lite runtime a file needs, computed from its ops.

The `min_runtime_version` that converters write is often blank, absent or stale, so it is not used.
"""

from __future__ import annotations

import re
from pathlib import Path

from bench_depth.core.errors import BAD_INPUT, MODEL_FAILED, THRESHOLD_FAILED, UserError
from bench_depth.core.files import read_regular

# Op name, then the runtimes in which its versions 1, 2, 3, ... appeared; "-": never released.
# Facts from TensorFlow, tensorflow/compiler/mlir/lite/tools/versioning/runtime_version.cc
# (commit 03f49db5a23ec2b22a59f3f3d72e5744469ea30b), the ops of image networks.
_APPEARED = """
ABS 1.13 2.4 2.5 2.6 2.12
ADD 1.5 1.14 2.4 2.6 2.13 2.23
ADD_N 1.14
ARG_MAX 1.9 1.14 2.9
ARG_MIN 1.9 1.14 2.9
AVERAGE_POOL_2D 1.5 1.14 2.3
BATCH_MATMUL 2.3 2.3 2.4 2.5
BATCH_TO_SPACE_ND 1.6 1.14 2.3 2.12
BROADCAST_ARGS 2.6
BROADCAST_TO - 2.5 2.5
CAST 1.5 2.7 2.8 2.9 2.12 2.15 2.17 2.21
CEIL 1.14
CONCATENATION 1.5 1.14 2.3 2.14 2.21
CONV_2D 1.5 1.14 1.14 2.3 2.4 2.9 2.11 2.15
CONV_3D 2.5
COS 1.14
CUMSUM 2.4
DENSIFY 2.2
DEPTHWISE_CONV_2D 1.5 1.12 1.14 2.2 2.3 2.3 2.11
DEPTH_TO_SPACE 2.1 2.5
DEQUANTIZE 1.13.1 1.14 1.15 2.2 2.7 2.18 2.21 2.22
DILATE 2.15
DIV 1.6 2.3
DYNAMIC_UPDATE_SLICE 2.9 2.17 2.19 2.20 2.21 2.22
ELU 1.14
EQUAL 1.14 1.14 2.3 2.13 2.21
EXP 1.7 2.12
EXPAND_DIMS 1.10
FAKE_QUANT 1.5 1.10
FILL 1.13 2.3 2.5 2.12
FLOOR 1.9
FLOOR_DIV 1.14 1.14 2.13
FLOOR_MOD 1.13 2.13
FULLY_CONNECTED 1.5 1.10 1.14 1.14 2.0 2.1 2.3 2.3 2.3 2.11 2.15 2.17 2.18 2.21
GATHER 1.6 1.14 1.15 2.4 2.5 2.13 2.15
GATHER_ND 1.14 2.3 2.5 2.13 2.16
GELU 2.9 2.9
GREATER 1.14 1.14
GREATER_EQUAL 1.14 1.14 2.13
HARD_SWISH 1.15
L2_NORMALIZATION 1.5 1.14
L2_POOL_2D 1.5
LEAKY_RELU 1.13.1 2.3
LESS 1.14 1.14 2.13
LESS_EQUAL 1.14 1.14
LOCAL_RESPONSE_NORMALIZATION 1.5
LOG 1.14 2.15
LOGICAL_AND 1.11
LOGICAL_NOT 1.11
LOGICAL_OR 1.11
LOGISTIC 1.14 1.14 2.3
LOG_SOFTMAX 1.14 1.14
MAXIMUM 1.14 1.14 2.3 2.3
MAX_POOL_2D 1.5 1.14 2.3
MEAN 1.6 1.14 2.4
MINIMUM 1.14 1.14 2.3 2.3
MIRROR_PAD 1.13.1 2.3 2.12
MUL 1.5 1.14 1.15 2.3 2.6 2.11 2.13 2.23
NEG 1.9
NOT_EQUAL 1.14 1.14 2.3 2.21
ONE_HOT 1.11
PACK 1.11 1.14 2.3 2.13
PAD 1.5 1.14 2.4 2.6 2.20
PADV2 1.9 1.14 2.4 2.6 2.20
POW 1.10
PRELU 1.8
QUANTIZE 1.14 1.15 2.7 2.21 2.21 2.21
RANGE 1.13 2.14
RANK 1.14
REDUCE_ALL 2.6
REDUCE_ANY 1.11
REDUCE_MAX 1.11 1.14 2.5
REDUCE_MIN 1.11 1.14 2.5
REDUCE_PROD 1.11 2.6
RELU 1.5 2.1 2.5
RELU6 1.5 1.14 2.5
RELU_0_TO_1 2.10
RELU_N1_TO_1 1.5
RESHAPE 1.5
RESIZE_BILINEAR 1.7 1.14 2.2 2.5
RESIZE_NEAREST_NEIGHBOR 1.13.1 1.14 2.3 2.4
REVERSE_V2 1.14 2.2 2.5
ROUND 1.14
RSQRT 1.10 2.5 2.15
SCATTER_ND 2.1
SELECT 1.14 1.14 2.12 2.12
SELECT_V2 2.2 2.12
SHAPE 1.10
SIGN 2.11 2.12
SIN 1.9
SLICE 1.14 1.14 1.14 2.4 2.5 2.14 2.21
SOFTMAX 1.5 1.14 2.3
SPACE_TO_BATCH_ND 1.6 1.14 2.3 2.12
SPACE_TO_DEPTH 1.5 1.14
SPLIT 1.5 1.14 1.14 2.3
SPLIT_V 1.13.1 2.3
SQRT 1.10 2.21
SQUARE 1.12
SQUARED_DIFFERENCE 1.13.1 2.5
SQUEEZE 1.6 2.5
STRIDED_SLICE 1.6 1.14 2.1 2.2 2.5 2.6 2.14 2.14
SUB 1.6 1.14 2.3 2.4 2.4
SUM 1.10 1.15
TANH 1.14 1.14 2.3
TILE 1.10.1 2.2 2.8
TOPK_V2 1.7 1.14 2.13
TRANSPOSE 1.6 1.14 1.15 2.3 2.4 2.12 2.14.4 2.22
TRANSPOSE_CONV 1.9 2.2 2.3 2.13 2.15
UNPACK 1.11 1.14 2.2 2.3 2.22
ZEROS_LIKE 1.12
"""

Version = tuple[int, ...]
# The series of the first release with TensorFlow Lite, and the last one before 2.0.
_FIRST, _LAST_OF_1 = (1, 5), (1, 15)


def _table() -> dict[tuple[str, int], str]:
    table = {}
    for line in _APPEARED.split("\n"):
        name, *runtimes = line.split() or [""]
        for version, runtime in enumerate(runtimes, start=1):
            if runtime != "-":
                table[name, version] = runtime if runtime.count(".") == 2 else f"{runtime}.0"
    return table


OP_RUNTIMES = _table()


def parse_version(text: str) -> Version:
    """`"2.5"` or `"2.5.0"` -> `(2, 5, 0)`.

    Raises:
        UserError: It is not a version.
    """
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4}){0,2}", text):
        raise UserError(f"{text[:40]!r} is not a runtime version; write it like 2.5", BAD_INPUT)
    numbers = [int(field) for field in text.split(".")]
    return tuple(numbers + [0] * (3 - len(numbers)))


def require_release(text: str) -> None:
    """Refuses a version of TensorFlow Lite that was never released, or after the table was made.

    Raises:
        UserError: It is no version, or none of these.
    """
    series = parse_version(text)[:2]
    newest = max(map(parse_version, OP_RUNTIMES.values()))[:2]
    if not (_FIRST <= series <= _LAST_OF_1 or (2, 0) <= series <= newest):
        first, last, new = (".".join(map(str, each)) for each in (_FIRST, _LAST_OF_1, newest))
        raise UserError(
            f"--runtime {text}: there is no such TensorFlow Lite, or its ops are not known here; "
            f"give one of {first} to {last} or 2.0 to {new}",
            BAD_INPUT,
        )


def ops_of(data: bytes) -> set[tuple[str, int]]:
    """The (name, version) of every op that a .tflite file runs."""
    # Imported here because TensorFlow takes seconds to load, and the table does not need it.
    from ghostdepth_export.convert.flatbuffer import builtin_name, unpack

    model = unpack(data)
    used = {op.opcodeIndex for graph in model.subgraphs for op in graph.operators}
    codes = [model.operatorCodes[index] for index in used]
    return {(builtin_name(code), code.version) for code in codes}


def minimum_runtime(data: bytes) -> str:
    """The oldest TFLite runtime that has every op of the file, like `"2.3.0"`.

    Args:
        data: Bytes of a .tflite file.

    Raises:
        UserError: An op is not in the table, so that no runtime can be promised.
    """
    runtimes = [_appeared(op) for op in ops_of(data)]
    return max(runtimes, key=parse_version, default="1.5.0")


def check_runtime(path: Path, runtime: str, data: bytes | None = None) -> None:
    """Refuses a file that the given runtime cannot run.

    Args:
        path: The .tflite file.
        runtime: Version of the runtime, like `"2.5"`.
        data: Bytes of the file; they are read from `path` if None.

    Raises:
        UserError: An op is too new (the line names it and its version; exit code 1) or unknown.
    """
    limit = parse_version(runtime)
    for name, version in sorted(ops_of(read_regular(path) if data is None else data)):
        needed = _appeared((name, version))
        if parse_version(needed) > limit:
            raise UserError(
                f"{path.name} needs {name} version {version}, which came with TFLite {needed}, "
                f"but --runtime is {runtime}; change the network or ask for --runtime {needed}",
                THRESHOLD_FAILED,
            )


def refused_at_prepare(data: bytes) -> str | None:
    """What TensorFlow Lite 2.5 refuses when it prepares a file whose ops it has.

    Known and looked at: RESIZE_BILINEAR with both `align_corners` and `half_pixel_centers`, which
    some converters write and newer runtimes run.

    Args:
        data: Bytes of a .tflite file.

    Returns:
        The name of the op and what is wrong; None where nothing known is.
    """
    from ghostdepth_export.convert.flatbuffer import op_name, unpack

    model = unpack(data)
    for graph in model.subgraphs:
        for op in graph.operators:
            options = op.builtinOptions
            if (
                op_name(model, op) == "RESIZE_BILINEAR"
                and getattr(options, "alignCorners", False)
                and getattr(options, "halfPixelCenters", False)
            ):
                return "RESIZE_BILINEAR has both align_corners and half_pixel_centers"
    return None


def _appeared(op: tuple[str, int]) -> str:
    if op not in OP_RUNTIMES:
        raise UserError(
            f"the op {op[0]} version {op[1]} is in no known TFLite runtime; "
            "add it to ghostdepth_export/convert/op_versions.py if it is a new one",
            MODEL_FAILED,
        )
    return OP_RUNTIMES[op]
