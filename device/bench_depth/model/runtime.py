"""The interfaces of runtimes and loaded models."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Protocol

from numpy.typing import NDArray


@dataclass(frozen=True)
class TensorSpec:
    """An input or output tensor.

    Attributes:
        shape: Size of each axis; None where the file leaves it open.
        dtype: NumPy's name of the dtype, like `float32`, or the runtime's where NumPy has none.
        name: Name of the tensor in the file.
        scales: Scales of a quantized tensor, real = scale * (integer - zero point); empty for an
            unquantized one, several for quantization by channel.
        zero_points: Zero points of a quantized tensor, as many as `scales`.
    """

    shape: tuple[Optional[int], ...]
    dtype: str
    name: str = ""
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Returns shape and dtype, like `1x480x640x3 uint8`."""
        return f"{'x'.join('?' if n is None else str(n) for n in self.shape)} {self.dtype}"


class LoadedModel(Protocol):
    """A model that is ready to run.

    Attributes:
        name: Name of the runtime.
        version: Version of the runtime.
        xnnpack: Whether XNNPACK runs at least a part of the graph; None where that does not apply
            or is unknown.
        xnnpack_ops: Number of ops that XNNPACK runs, and of all ops; None likewise.
        inputs: Specifications of all inputs.
        outputs: Specifications of all outputs.
    """

    name: str
    version: str
    xnnpack: Optional[bool]
    xnnpack_ops: Optional[tuple[int, int]]
    inputs: list[TensorSpec]
    outputs: list[TensorSpec]

    def resize_input(self, shape: tuple[int, ...]) -> None:
        """Sets the shape of the first input where the file leaves it open.

        Raises:
            UserError: The graph does not work at that size (exit code 3).
        """
        ...

    def use_output(self, index: int) -> None:
        """Selects which of `outputs` is returned by `output`; the default is the first."""
        ...

    def carry(self, given: int, after: int, zero: int) -> None:
        """Carries a state from run to run, which is empty now.

        The state's input and output then no longer are among `inputs` and `outputs`.

        Args:
            given: Index of the state in `inputs`.
            after: Index of the next state in `outputs`; it has the same shape and dtype.
            zero: Every number of an empty state.
        """
        ...

    def reset(self) -> None:
        """Empties the state; does nothing where none is carried."""
        ...

    def set_input(self, array: NDArray[Any]) -> None:
        """Sets the first of `inputs` to an array of its exact shape and dtype."""
        ...

    def invoke(self) -> None:
        """Runs the graph once; the latency is the time of this call.

        A state that is carried goes from this run into the next one.
        """
        ...

    def output(self) -> NDArray[Any]:
        """Returns the selected output of the last run, unprocessed."""
        ...


class Runtime(Protocol):
    """A library that runs model files of one kind.

    Attributes:
        name: Import name of its package, and its name in `--runtime`.
        suffix: Suffix of the files that it runs.
        package: Name of its distribution for `pip install`.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def suffix(self) -> str: ...  # noqa: D102
    @property
    def package(self) -> str: ...  # noqa: D102

    def fault(self) -> Optional[str]:
        """Imports the runtime and uses it once.

        Returns:
            One clause that says why it does not work here; None where it works.
        """
        ...

    def load(self, path: Path, threads: int) -> LoadedModel:
        """Loads a model file.

        Raises:
            UserError: The file is damaged, the runtime lacks an op of it, or an input or output is
                too large (exit code 3).
        """
        ...
