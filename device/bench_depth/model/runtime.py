"""What every runtime offers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional, Protocol

from numpy.typing import NDArray


@dataclass(frozen=True)
class TensorSpec:
    """One input or output.

    Attributes:
        shape: The size of each axis; None where the file leaves it open.
        dtype: As numpy names it, like `float32`; another word for what numpy has not.
        name: As the file names it.
        scales: Of integers that stand for real numbers, real = scale * (integer - zero point);
            empty where they stand for themselves, several where the channels differ.
        zero_points: As many as `scales`.
    """

    shape: tuple[Optional[int], ...]
    dtype: str
    name: str = ""
    scales: tuple[float, ...] = ()
    zero_points: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Like `1x480x640x3 uint8`."""
        return f"{'x'.join('?' if n is None else str(n) for n in self.shape)} {self.dtype}"


class LoadedModel(Protocol):
    """A model file, ready to run.

    Attributes:
        name: The runtime's.
        version: The runtime's.
        xnnpack: Whether XNNPACK runs at least a part of the graph; None where that means nothing
            or cannot be told.
        inputs: All of them.
        outputs: All of them.
    """

    name: str
    version: str
    xnnpack: Optional[bool]
    inputs: list[TensorSpec]
    outputs: list[TensorSpec]

    def resize_input(self, shape: tuple[int, ...]) -> None:
        """Fixes the first input's shape where the file leaves it open.

        Raises:
            UserError: The graph does not work at that size (exit code 3).
        """
        ...

    def use_output(self, index: int) -> None:
        """Chooses which of `outputs` it is that `output` gives; the first without this."""
        ...

    def set_input(self, array: NDArray[Any]) -> None:
        """Hands over the first input: its exact shape and dtype."""
        ...

    def invoke(self) -> None:
        """Runs the graph once; this alone is what the latency is."""
        ...

    def output(self) -> NDArray[Any]:
        """The chosen output of the last run, as the file gives it."""
        ...


class Runtime(Protocol):
    """A program that can run model files of one kind.

    Attributes:
        name: The import name of its package, and what `--runtime` calls it.
        suffix: Of the files it runs.
        package: What `pip install` calls it.
    """

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def suffix(self) -> str: ...  # noqa: D102
    @property
    def package(self) -> str: ...  # noqa: D102

    def load(self, path: Path, threads: int) -> LoadedModel:
        """Loads a file.

        Raises:
            UserError: The file is damaged, the runtime lacks an op of it, or an input or output is
                too large (exit code 3).
        """
        ...
