"""TensorFlow Lite under its three names: tflite_runtime, ai_edge_litert and tensorflow."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.contract import read_model_bytes
from bench_depth.model.runtime import TensorSpec
from bench_depth.model.tensors import check_axes, check_tensors
from bench_depth.model.tflite_file import check

# Name of a delegate's nodes in `_get_ops_details`.
DELEGATE = "DELEGATE"


@dataclass(frozen=True)
class TfliteRuntime:
    """See `bench_depth.model.runtime.Runtime`.

    Attributes:
        name: Import name of the package.
        module: Module that has the `Interpreter`.
        package: Name of the distribution for `pip install`.
    """

    name: str
    module: str
    package: str
    suffix: str = ".tflite"

    def load(self, path: Path, threads: int, delegates: bool = True) -> _TfliteModel:
        """See `Runtime.load`; `delegates` is whether default delegates may be applied."""
        try:
            check(read_model_bytes(path))
        except ValueError as error:
            raise UserError(
                f"{path} is damaged or truncated ({error}); copy or export it again", MODEL_FAILED
            ) from error
        if self.name == "tensorflow":
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        try:
            module, options = importlib.import_module(self.module), {}
            # Versions without this option apply no delegate.
            if not delegates and hasattr(module, "OpResolverType"):
                plain = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
                options["experimental_op_resolver_type"] = plain
            interpreter = module.Interpreter(model_path=str(path), num_threads=threads, **options)
            # Before anything of their size is allocated.
            check_axes(path, _specs(interpreter.get_input_details()))
            check_tensors(path, _specs(interpreter.get_input_details()))
            check_tensors(path, _specs(interpreter.get_output_details()))
            interpreter.allocate_tensors()
        except (ImportError, ValueError, RuntimeError) as error:
            raise UserError(
                f"{self.name} {self._version()} cannot load {path}: {_first_line(error)}; "
                "try another --runtime, or export the file for this one",
                MODEL_FAILED,
            ) from error
        return _TfliteModel(self.name, self._version(), interpreter, path)

    def _version(self) -> str:
        # The package may be there under several distribution names, or as a bare folder.
        version = getattr(importlib.import_module(self.name), "__version__", None)
        if version is None:
            try:
                version = importlib.metadata.version(self.package)
            except importlib.metadata.PackageNotFoundError:
                version = "of unknown version"
        return str(version)


class _TfliteModel:
    """See `bench_depth.model.runtime.LoadedModel`; `interpreter` is TFLite's own object."""

    def __init__(self, name: str, version: str, interpreter: Any, path: Path) -> None:
        self.name = name
        self.version = version
        self.inputs = _specs(interpreter.get_input_details())
        self.outputs = _specs(interpreter.get_output_details())
        self.xnnpack = _uses_delegate(interpreter)
        self.interpreter = interpreter
        self._path = path
        self._first_input = _index(interpreter.get_input_details(), 0)
        self._output = _index(interpreter.get_output_details(), 0)

    def resize_input(self, shape: tuple[int, ...]) -> None:
        details = self.interpreter.get_input_details()[0]
        if tuple(details["shape"]) == shape:
            return
        try:
            self.interpreter.resize_tensor_input(self._first_input, shape)
            self.interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"{self._path} does not work at {'x'.join(map(str, shape))}: "
                f"{_first_line(error)}; try another --input-size",
                MODEL_FAILED,
            ) from error

    def use_output(self, index: int) -> None:
        self._output = _index(self.interpreter.get_output_details(), index)

    def set_input(self, array: NDArray[Any]) -> None:
        self.interpreter.set_tensor(self._first_input, array)

    def invoke(self) -> None:
        try:
            self.interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"{self.name} {self.version} cannot run {self._path}: {_first_line(error)}",
                MODEL_FAILED,
            ) from error

    def output(self) -> NDArray[Any]:
        return np.asarray(self.interpreter.get_tensor(self._output))


def _specs(every: list[dict[str, Any]]) -> list[TensorSpec]:
    return [_spec(details) for details in every]


def _spec(details: dict[str, Any]) -> TensorSpec:
    # An open axis is 1 in `shape` and -1 in `shape_signature`.
    signature = details.get("shape_signature", details["shape"])
    if len(signature) != len(details["shape"]):
        signature = details["shape"]
    shape = tuple(None if n == -1 else int(n) for n in signature)
    found = details.get("quantization_parameters", {})
    return TensorSpec(
        shape,
        np.dtype(details["dtype"]).name,
        details["name"],
        tuple(float(scale) for scale in found.get("scales", ())),
        tuple(int(point) for point in found.get("zero_points", ())),
    )


def _index(every: list[dict[str, Any]], number: int) -> int:
    return int(every[number]["index"]) if every else -1


def _uses_delegate(interpreter: Any) -> Optional[bool]:
    # XNNPACK is the only default delegate; the ops that it runs are a node of its own. The list of
    # nodes is private in all versions, but present since 2.4.
    try:
        return any(op["op_name"] == DELEGATE for op in interpreter._get_ops_details())
    except (AttributeError, KeyError, ValueError):
        return None


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
