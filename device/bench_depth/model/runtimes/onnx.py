"""ONNX Runtime on the CPU."""

from __future__ import annotations

import importlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.compiled import fault_of
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.core.files import require_regular
from bench_depth.model.contract import read_model_bytes
from bench_depth.model.identity import external_files
from bench_depth.model.runtime import TensorSpec

# ONNX Runtime's names of the dtypes that differ from NumPy's.
_DTYPES = {"float": "float32", "double": "float64"}

_PREFIX = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (?:Load model from .*? failed:)?")
_PLACE = re.compile(r"\S+\.(?:cc|h|cpp|hpp):\d+ ")
_QUALIFIERS = re.compile(r"(?: const| noexcept)*(?: \[with [^\]]*\])?")
_TOO_NEW = {
    re.compile(r"Unsupported model IR version: (\d+), max supported IR version: (\d+)"): (
        "ONNX format {0}, and this onnxruntime reads up to format {1}"
    ),
    re.compile(r"Opset (\d+) is under development .* for domain (\S+) is till opset (\d+)"): (
        "ONNX with opset {0} of {1}, and this onnxruntime reads up to opset {2}"
    ),
}
_MOST = 400
_FATAL = 4


@dataclass(frozen=True)
class OnnxRuntime:
    """See `bench_depth.model.runtime.Runtime`."""

    name: str = "onnxruntime"
    suffix: str = ".onnx"
    package: str = "onnxruntime"

    def fault(self) -> Optional[str]:
        """See `Runtime.fault`."""
        fault = fault_of(lambda: importlib.import_module(self.name).SessionOptions())
        return f"{self.name} {fault}" if fault is not None else None

    def load(self, path: Path, threads: int, trace: Optional[Path] = None) -> _OnnxModel:
        """See `Runtime.load`; with `trace`, the session's profile is written to that path."""
        # What is missing, or no file, is the user's mistake, not the model's.
        for weights in external_files(path, read_model_bytes(path)):
            require_regular(weights)
        runtime = importlib.import_module(self.name)
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Its own lines show names of a file as they stand there, control characters too; what ends
        # a run comes as an exception.
        options.log_severity_level = _FATAL
        runtime.set_default_logger_severity(_FATAL)
        # x86 without VNNI would saturate sums of two int8 products at 16 bits, and give another
        # depth than other x86 and Arm processors; this selects exact kernels there.
        options.add_session_config_entry("session.x64quantprecision", "1")
        if trace is not None:
            options.enable_profiling = True
            options.profile_file_prefix = str(trace)
        try:
            session = runtime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # Its own classes share no base and live in a private module.
            raise UserError(
                f"{self.name} {runtime.__version__} cannot load {path}: {why_refused(error)}",
                MODEL_FAILED,
            ) from error
        return _OnnxModel(self.name, runtime.__version__, session, path)


class _OnnxModel:
    """See `bench_depth.model.runtime.LoadedModel`; `session` is ONNX Runtime's own object."""

    xnnpack: Optional[bool] = None
    xnnpack_ops: Optional[tuple[int, int]] = None

    def __init__(self, name: str, version: str, session: Any, path: Path) -> None:
        self.name = name
        self.version = version
        self.inputs = [_spec(value) for value in session.get_inputs()]
        self.outputs = [_spec(value) for value in session.get_outputs()]
        self.session = session
        self._run = session.run
        self._path = path
        self._input_names = [value.name for value in session.get_inputs()]
        self._output_names = [value.name for value in session.get_outputs()]
        self._feed: dict[str, NDArray[Any]] = {}
        self._empty: dict[str, NDArray[Any]] = {}
        self._results: list[Any] = []
        self._output = 0

    def resize_input(self, shape: tuple[int, ...]) -> None:
        """Does nothing: ONNX Runtime takes the shape of each input array."""

    def use_output(self, index: int) -> None:
        self._output = index

    def carry(self, given: int, after: int, zero: int) -> None:
        spec = self.inputs.pop(given)
        shape = tuple(n for n in spec.shape if n is not None)
        self._empty[self._input_names.pop(given)] = np.full(shape, zero, spec.dtype)
        # Asked for last, behind those that are left.
        self._output_names.append(self._output_names.pop(after))
        self.outputs.pop(after)
        self.reset()

    def reset(self) -> None:
        self._feed.update(self._empty)

    def set_input(self, array: NDArray[Any]) -> None:
        self._feed[self._input_names[0]] = array

    def invoke(self) -> None:
        try:
            self._results = self._run(self._output_names, self._feed)
        except Exception as error:  # As in `load`.
            raise UserError(
                f"{self.name} {self.version} cannot run {self._path}: {_one_line(error)}",
                MODEL_FAILED,
            ) from error
        for name in self._empty:
            self._feed[name] = self._results[-1]

    def output(self) -> NDArray[Any]:
        return np.asarray(self._results[self._output])


def _spec(value: Any) -> TensorSpec:
    kind: str = value.type[len("tensor(") : -1] if value.type.startswith("tensor(") else value.type
    # An open axis has a name in place of a number.
    shape = tuple(n if isinstance(n, int) else None for n in value.shape)
    return TensorSpec(shape, _DTYPES.get(kind, kind), value.name)


def _one_line(error: BaseException) -> str:
    """ONNX Runtime's reason, without the place in its source and the signature of the function."""
    text = _PREFIX.sub("", " ".join(str(error).split()))
    place = _PLACE.search(text)
    while place is not None:
        text = text[: place.start()] + text[_signature_end(text, place.end()) :].lstrip()
        place = _PLACE.search(text)
    if len(text) > _MOST:
        # What it works on comes first and may be long; the reason comes last.
        text = f"{text[: _MOST // 3]} ... {text[-_MOST * 2 // 3 :]}"
    return text.rstrip(". ")


def _signature_end(text: str, start: int) -> int:
    """Index behind the C++ signature that starts at `start`; `start` where it is not whole."""
    depth = 0
    for index in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[index], 0)
        # `(anonymous namespace)::`, `operator()(`, `<lambda(...)>` go on.
        if text[index] == ")" and depth == 0 and text[index + 1 : index + 2] not in ("(", ":", ">"):
            rest = _QUALIFIERS.match(text, index + 1)
            return rest.end() if rest is not None else index + 1
    return start


def why_refused(error: BaseException) -> str:
    """Why ONNX Runtime cannot load a file, and what to do, without its own places and signatures.

    Args:
        error: Exception of ONNX Runtime, or an error with its text.
    """
    text = _one_line(error)
    for pattern, what in _TOO_NEW.items():
        found = pattern.search(text)
        if found is not None:
            return (
                f"it is {what.format(*found.groups())}; export it with an older opset, or update "
                "onnxruntime"
            )
    return f"{text}; copy or export the file again, or update onnxruntime"
