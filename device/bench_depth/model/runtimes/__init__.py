"""The runtimes that run model files, behind one protocol; each is imported when it is used."""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from bench_depth.core.dataset import PHOTO_SUFFIXES
from bench_depth.core.errors import BAD_INPUT, MODEL_FAILED, UserError
from bench_depth.core.files import require_utf8
from bench_depth.model.runtime import LoadedModel, Runtime, TensorSpec
from bench_depth.model.runtimes.onnx import OnnxRuntime
from bench_depth.model.runtimes.tflite import TfliteRuntime

__all__ = ["RUNTIMES", "LoadedModel", "Runtime", "TensorSpec", "choose"]

# In the order of preference: the lightest first.
RUNTIMES: tuple[Runtime, ...] = (
    TfliteRuntime("tflite_runtime", "tflite_runtime.interpreter", "tflite-runtime"),
    TfliteRuntime("ai_edge_litert", "ai_edge_litert.interpreter", "ai-edge-litert"),
    TfliteRuntime("tensorflow", "tensorflow.lite.python.interpreter", "tensorflow"),
    OnnxRuntime(),
)


def choose(
    path: Path, name: Optional[str] = None, log: Callable[[str], None] = lambda line: None
) -> Runtime:
    """Selects the runtime for a model file: the named one, or the first installed one that works.

    Args:
        path: Path of the model file.
        name: Name of the runtime; None for the first.
        log: Called with one line for each installed runtime that was passed over, as it does not
            work here.

    Raises:
        UserError: There is no runtime of that name, it cannot run such a file, the kind of the file
            is unknown or its name is not UTF-8 (exit code 2), or no runtime for it is installed or
            works (exit code 3).
    """
    able = _able(path, name)
    faults = []
    for runtime in able:
        if importlib.util.find_spec(runtime.name) is None:
            continue
        fault = runtime.fault()
        if fault is None:
            for line in faults:
                log(f"{line}; {runtime.name} is used in its place")
            return runtime
        faults.append(fault)
    if faults:
        others = [r.package for r in able if importlib.util.find_spec(r.name) is None]
        other = f"; or {_install(others)}" if others else ""
        other = "; or choose another --runtime" if name is not None else other
        raise UserError(f"{path} cannot be run: {'; '.join(faults)}{other}", MODEL_FAILED)
    raise UserError(
        f"{path} needs {' or '.join(r.name for r in able)}, which is not installed; "
        f"{_install([r.package for r in able])}",
        MODEL_FAILED,
    )


def _able(path: Path, name: Optional[str]) -> list[Runtime]:
    suffix = Path(path).suffix
    able = [runtime for runtime in RUNTIMES if runtime.suffix == suffix]
    require_utf8(str(path))
    if not able:
        known = " or ".join(sorted({runtime.suffix for runtime in RUNTIMES}))
        photo = suffix.lower() in PHOTO_SUFFIXES
        hint = f"; for the depth of a photo: bench-depth depth {path}" if photo else ""
        raise UserError(f"{path} is no model file; its name must end in {known}{hint}", BAD_INPUT)
    if name is None:
        return able
    if name not in [runtime.name for runtime in RUNTIMES]:
        known = ", ".join(runtime.name for runtime in RUNTIMES)
        raise UserError(f"unknown runtime {name!r}; choose from {known}", BAD_INPUT)
    able = [runtime for runtime in able if runtime.name == name]
    if not able:
        raise UserError(f"{name} cannot run {path}; leave --runtime out", BAD_INPUT)
    return able


def _install(packages: list[str]) -> str:
    """What to do to have one of the packages."""
    # tflite-runtime is for old Pythons only; tensorflow is heavy.
    package = "ai-edge-litert" if "ai-edge-litert" in packages else packages[0]
    if struct.calcsize("P") == 4:
        return (
            f"this system is a 32-bit one, for which there is no {package}; "
            "flash Raspberry Pi OS Lite (64-bit)"
        )
    return f"run: pip install {package}"
