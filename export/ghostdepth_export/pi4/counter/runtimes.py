"""The runtimes that models are counted with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bench_depth.core.errors import UserError, did_you_mean


@dataclass(frozen=True)
class CountedRuntime:
    """One runtime in an emulated root.

    Attributes:
        name: As in `--runtime`.
        label: Name of the runtime in a table.
        root: The emulator's root that has it.
        suffix: Extension of the files that it runs.
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


def find_runtime(name: str) -> CountedRuntime:
    """The runtime of a name.

    Raises:
        UserError: No emulated Pi has it; the line lists all.
    """
    if name in RUNTIMES:
        return RUNTIMES[name]
    raise UserError(
        f"--runtime {name[:40]!r}: no emulated Pi has it; the runtimes are {', '.join(RUNTIMES)}"
        f"{did_you_mean(name, RUNTIMES)}"
    )


def choose_runtime(model: Path, name: str | None = None) -> CountedRuntime:
    """The runtime of that name; without one, TensorFlow Lite 2.5 or ONNX Runtime by the suffix.

    Raises:
        UserError: There is no such runtime, or it does not run files of this kind.
    """
    for runtime in [find_runtime(name)] if name is not None else RUNTIMES.values():
        if runtime.suffix == model.suffix:
            return runtime
    fitting = [r.name for r in RUNTIMES.values() if r.suffix == model.suffix]
    if name is None or not fitting:
        raise UserError(f"cannot count {model}: it is no .tflite or .onnx file")
    raise UserError(
        f"cannot count {model}: {RUNTIMES[name].label} runs {RUNTIMES[name].suffix} files; "
        f"for this one --runtime {' or '.join(fitting)}"
    )
