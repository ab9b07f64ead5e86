"""Which TensorFlow Lite runtime a file needs, computed from its ops by the table op_versions.txt.

The `min_runtime_version` that converters write is often blank, absent or stale, so it is not used.
"""

from __future__ import annotations

import re
from pathlib import Path

from bench_depth.core.errors import BAD_INPUT, MODEL_FAILED, THRESHOLD_FAILED, UserError
from bench_depth.core.files import read_regular

Version = tuple[int, ...]
# The series of the first release with TensorFlow Lite, and the last one before 2.0.
_FIRST, _LAST_OF_1 = (1, 5), (1, 15)


def _table() -> dict[tuple[str, int], str]:
    table = {}
    lines = Path(__file__).with_name("op_versions.txt").read_text().splitlines()
    for name, *runtimes in (line.split() for line in lines if not line.startswith("#")):
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
            "add it to ghostdepth_export/convert/op_versions.txt if it is a new one",
            MODEL_FAILED,
        )
    return OP_RUNTIMES[op]
