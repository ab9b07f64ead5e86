"""TensorFlow Lite under its three names: tflite_runtime, ai_edge_litert and tensorflow."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.core.compiled import fault_of, reason
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.contract import read_model_bytes
from bench_depth.model.readers.tflite_file import check
from bench_depth.model.runtime import TensorSpec
from bench_depth.model.tensors import check_axes, check_tensors

# A model of one RELU: some faults of a build show when an interpreter is made and not when it is
# imported, and the first one of a process that applies XNNPACK announces it.
_TINY_MODEL = bytes.fromhex(
    "1800000054464c3300000e00140010000c000800000004000e000000100000001c000000d000000003000000"
    "0100000008000000040004000400000001000000100000000c00140010000c00080004000c00000010000000"
    "3c0000004000000044000000010000001000000000000a000c000000080004000a000000080000000c000000"
    "0100000001000000010000000000000001000000010000000100000000000000020000003000000004000000"
    "e4ffffff080000000c000000000000000000000001000000010000000c000c0008000000000004000c000000"
    "080000000c0000000000000000000000010000000100000001000000100000000c000c000b00000000000400"
    "0c0000001300000000000013"
)
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

    def fault(self) -> Optional[str]:
        """See `Runtime.fault`."""
        fault = fault_of(
            lambda: self._import().Interpreter(model_content=_TINY_MODEL).allocate_tensors()
        )
        return f"{self.name} {self._version()} {fault}" if fault is not None else None

    def load(self, path: Path, threads: int, delegates: bool = True) -> _TfliteModel:
        """See `Runtime.load`; `delegates` is whether default delegates may be applied."""
        try:
            check(read_model_bytes(path))
        except ValueError as error:
            raise UserError(
                f"{path} is damaged or truncated ({error}); copy or export it again", MODEL_FAILED
            ) from error
        try:
            module, options = self._import(), {}
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
        except (ImportError, ValueError, RuntimeError, SystemError) as error:
            raise UserError(
                f"{self.name} {self._version()} cannot load {path}: {reason(error)}; "
                "try another --runtime, or export the file for this one",
                MODEL_FAILED,
            ) from error
        return _TfliteModel(self.name, self._version(), interpreter, path)

    def _import(self) -> Any:
        if self.name == "tensorflow":
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        return importlib.import_module(self.module)

    def _version(self) -> str:
        # The package may be there under several distribution names, or as a bare folder.
        version = getattr(sys.modules.get(self.name), "__version__", None)
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
        self.interpreter = interpreter
        self.xnnpack_ops = _delegated(interpreter)
        self.xnnpack = None if self.xnnpack_ops is None else self.xnnpack_ops[0] > 0
        self._path = path
        self._inputs = [int(each["index"]) for each in interpreter.get_input_details()]
        self._outputs = [int(each["index"]) for each in interpreter.get_output_details()]
        self._output = self._outputs[0] if self._outputs else -1
        # The tensors of a state that is carried, and an empty one.
        self._state: Optional[tuple[int, int, NDArray[Any]]] = None

    def resize_input(self, shape: tuple[int, ...]) -> None:
        every = self.interpreter.get_input_details()
        details = next(each for each in every if each["index"] == self._inputs[0])
        if tuple(details["shape"]) == shape:
            return
        try:
            self.interpreter.resize_tensor_input(self._inputs[0], shape)
            self.interpreter.allocate_tensors()
            # Another size may have other ops run by XNNPACK.
            self.xnnpack_ops = _delegated(self.interpreter)
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"{self._path} does not work at {'x'.join(map(str, shape))}: "
                f"{reason(error)}; try another --input-size",
                MODEL_FAILED,
            ) from error

    def use_output(self, index: int) -> None:
        self._output = self._outputs[index]

    def carry(self, given: int, after: int, zero: int) -> None:
        spec = self.inputs.pop(given)
        self.outputs.pop(after)
        shape = tuple(n for n in spec.shape if n is not None)
        empty = np.full(shape, zero, spec.dtype)
        self._state = (self._inputs.pop(given), self._outputs.pop(after), empty)
        self._output = self._outputs[0] if self._outputs else -1
        self.reset()

    def reset(self) -> None:
        if self._state is not None:
            self.interpreter.set_tensor(self._state[0], self._state[2])

    def set_input(self, array: NDArray[Any]) -> None:
        self.interpreter.set_tensor(self._inputs[0], array)

    def invoke(self) -> None:
        try:
            self.interpreter.invoke()
            if self._state is not None:
                given, after, _ = self._state
                self.interpreter.set_tensor(given, self.interpreter.get_tensor(after))
        except (ValueError, RuntimeError) as error:
            raise UserError(
                f"{self.name} {self.version} cannot run {self._path}: {reason(error)}",
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


def _delegated(interpreter: Any) -> Optional[tuple[int, int]]:
    """Number of ops that XNNPACK, the only default delegate, runs, and of all ops.

    The ops that it runs stay in the list, which has a node for each run of them at its end: they
    are those on the way back from that node's outputs to its inputs. The list is private in all
    versions, but present since 2.4.
    """
    try:
        every = interpreter._get_ops_details()
        ops = [op for op in every if op["op_name"] != DELEGATE]
        nodes = [op for op in every if op["op_name"] == DELEGATE]
        makers = {int(tensor): op for op in ops for tensor in op["outputs"]}
        found: set[int] = set()
        for node in nodes:
            known = set(map(int, node["inputs"]))
            wanted = list(map(int, node["outputs"]))
            while wanted:
                tensor = wanted.pop()
                op = makers.get(tensor)
                if tensor in known or op is None:
                    continue
                known.add(tensor)
                found.add(int(op["index"]))
                wanted.extend(map(int, op["inputs"]))
        return len(found), len(ops)
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
