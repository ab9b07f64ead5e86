"""ONNX Runtime on the CPU."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.contract import read_model_bytes
from bench_depth.model.runtime import TensorSpec

# ONNX Runtime's names of the dtypes that differ from NumPy's.
_DTYPES = {"float": "float32", "double": "float64"}


@dataclass(frozen=True)
class OnnxRuntime:
    """See `bench_depth.model.runtime.Runtime`."""

    name: str = "onnxruntime"
    suffix: str = ".onnx"
    package: str = "onnxruntime"

    def load(self, path: Path, threads: int, trace: Optional[Path] = None) -> _OnnxModel:
        """See `Runtime.load`; with `trace`, the session's profile is written to that path."""
        read_model_bytes(path)  # A missing file is the user's mistake, not the model's.
        try:
            runtime = importlib.import_module(self.name)
        except ImportError as error:
            raise UserError(f"onnxruntime cannot be imported: {error}", MODEL_FAILED) from error
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
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
                f"{self.name} {runtime.__version__} cannot load {path}: {_one_line(error)}; "
                "copy or export the file again, or update onnxruntime",
                MODEL_FAILED,
            ) from error
        return _OnnxModel(self.name, runtime.__version__, session, path)


class _OnnxModel:
    """See `bench_depth.model.runtime.LoadedModel`; `session` is ONNX Runtime's own object."""

    xnnpack: Optional[bool] = None

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
        self._results: list[Any] = []
        self._output = 0

    def resize_input(self, shape: tuple[int, ...]) -> None:
        """Does nothing: ONNX Runtime takes the shape of each input array."""

    def use_output(self, index: int) -> None:
        self._output = index

    def set_input(self, array: NDArray[Any]) -> None:
        self._feed = {self._input_names[0]: array}

    def invoke(self) -> None:
        try:
            self._results = self._run(self._output_names, self._feed)
        except Exception as error:  # As in `load`.
            raise UserError(
                f"{self.name} {self.version} cannot run {self._path}: {_one_line(error)}",
                MODEL_FAILED,
            ) from error

    def output(self) -> NDArray[Any]:
        return np.asarray(self._results[self._output])


def _spec(value: Any) -> TensorSpec:
    kind: str = value.type[len("tensor(") : -1] if value.type.startswith("tensor(") else value.type
    # An open axis has a name in place of a number.
    shape = tuple(n if isinstance(n, int) else None for n in value.shape)
    return TensorSpec(shape, _DTYPES.get(kind, kind), value.name)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300]
