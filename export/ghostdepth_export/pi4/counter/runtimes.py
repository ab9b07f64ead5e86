"""The runtimes that models are counted with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench_depth.core.errors import UserError


@dataclass(frozen=True)
class CountedRuntime:
    """One runtime in an emulated root.

    Attributes:
        name: As in `--runtime`.
        label: Its name in a table.
        root: The emulator's root that has it.
        suffix: Of the files that it runs.
    """

    name: str
    label: str
    root: str
    suffix: str = ".tflite"


RUNTIMES = {
    runtime.name: runtime
    for runtime in (
        CountedRuntime("2.5", "TensorFlow Lite", "bullseye"),
        CountedRuntime("litert", "LiteRT", "trixie"),
        CountedRuntime("onnxruntime", "ONNX Runtime", "trixie", ".onnx"),
    )
}


def choose_runtime(model: Path, name: str | None = None) -> CountedRuntime:
    """The runtime of that name; without one, TensorFlow Lite 2.5 or ONNX Runtime by the suffix.

    Raises:
        UserError: There is no such runtime, or it does not run files of this kind.
    """
    if name is not None and name not in RUNTIMES:
        raise UserError(
            f"--runtime {name}: no emulated Pi has it; choose from {', '.join(RUNTIMES)}"
        )
    for runtime in [RUNTIMES[name]] if name is not None else RUNTIMES.values():
        if runtime.suffix == model.suffix:
            return runtime
    fitting = [r.name for r in RUNTIMES.values() if r.suffix == model.suffix]
    if name is None or not fitting:
        raise UserError(f"cannot count {model}: it is no .tflite or .onnx file")
    raise UserError(
        f"cannot count {model}: {RUNTIMES[name].label} runs {RUNTIMES[name].suffix} files; "
        f"for this one --runtime {' or '.join(fitting)}"
    )
