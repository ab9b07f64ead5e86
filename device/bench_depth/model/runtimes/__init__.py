"""The runtimes that run model files, behind one protocol; each is imported when it is used."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Optional

from bench_depth.core.errors import BAD_INPUT, MODEL_FAILED, UserError
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


def choose(path: Path, name: Optional[str] = None) -> Runtime:
    """Selects the runtime for a model file: the named one, or the first installed one.

    Raises:
        UserError: There is no runtime of that name, it cannot run such a file, the kind of the file
            is unknown (exit code 2), or no runtime for it is installed (exit code 3).
    """
    suffix = Path(path).suffix
    able = [runtime for runtime in RUNTIMES if runtime.suffix == suffix]
    if not able:
        known = " or ".join(sorted({runtime.suffix for runtime in RUNTIMES}))
        raise UserError(f"{path} is no model file; its name must end in {known}", BAD_INPUT)
    if name is not None:
        if name not in [runtime.name for runtime in RUNTIMES]:
            known = ", ".join(runtime.name for runtime in RUNTIMES)
            raise UserError(f"unknown runtime {name!r}; choose from {known}", BAD_INPUT)
        able = [runtime for runtime in able if runtime.name == name]
        if not able:
            raise UserError(f"{name} cannot run {path}; leave --runtime out", BAD_INPUT)
    for runtime in able:
        if importlib.util.find_spec(runtime.name) is not None:
            return runtime
    # The first is for old Pythons only; the last is heavy.
    package = able[0].package if name or len(able) == 1 else "ai-edge-litert"
    raise UserError(
        f"{path} needs {' or '.join(r.name for r in able)}, which is not installed; "
        f"run: pip install {package}",
        MODEL_FAILED,
    )
