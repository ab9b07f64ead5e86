"""A loaded depth model that times each stage from image to depth map."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from bench_depth.live.frames.scale import Scale
from bench_depth.machine.board import default_threads, read_board
from bench_depth.model.contract import read_contract
from bench_depth.model.description import Description, describe
from bench_depth.model.postprocess import to_depth, to_photo_size
from bench_depth.model.preprocess import to_input
from bench_depth.model.runtimes import choose
from bench_depth.model.signature import check_signature

STAGES = ("capture", "preprocess", "invoke", "postprocess")


@dataclass(frozen=True)
class Prediction:
    """The depth map of one image.

    Attributes:
        depth: HxW float32 depth of the whole image in the unit given by the model's `scale`;
            usually at the output size of the model.
        times_ns: Nanoseconds of preprocess, invoke and postprocess.
    """

    depth: NDArray[np.float32]
    times_ns: tuple[int, int, int]


class DepthModel:
    """Loads a model file.

    Args:
        path: Path of the .tflite or .onnx file.
        runtime: Name of one of `bench_depth.model.runtimes.RUNTIMES`; None for the first installed.
        threads: Number of threads of the runtime; None for one per core, at most 4.
        description: What the user specified about the model beyond its file; None for nothing.

    Raises:
        UserError: As `choose`, `read_contract`, `describe`, `load` and `check_signature`.
    """

    def __init__(
        self,
        path: Path,
        runtime: Optional[str],
        threads: Optional[int],
        description: Optional[Description] = None,
    ) -> None:
        self._file = path.name
        self._threads = threads or default_threads()
        chosen = choose(path, runtime)
        self._contract = read_contract(path)
        self._model = chosen.load(path, self._threads)
        self._signature = check_signature(
            path, self._model, self._contract, describe(path, description)
        )
        relative = self._signature.relative
        self.scale = Scale(relative, relative and self._signature.quantity == "inverse-depth")

    @property
    def range(self) -> Optional[tuple[float, float]]:
        """Smallest and largest depth of the output in metres; None if the contract has none."""
        return self._contract.output_range if self._contract is not None else None

    def predict(self, photo: NDArray[np.uint8]) -> Prediction:
        """Runs the model once.

        Args:
            photo: HxWx3 uint8 RGB of any size.

        Raises:
            UserError: The model cannot run, or its output is no depth map (exit code 3).
        """
        start = time.perf_counter_ns()
        self._model.set_input(to_input(photo, self._signature))
        prepared = time.perf_counter_ns()
        self._model.invoke()
        invoked = time.perf_counter_ns()
        # Copied, because the output may be a view of memory that the next run overwrites.
        depth = np.array(to_depth(self._model.output(), self._signature))
        if self._signature.resize == "letterbox":
            depth = to_photo_size(depth, self._signature, *photo.shape[:2])
        done = time.perf_counter_ns()
        return Prediction(depth, (prepared - start, invoked - prepared, done - invoked))

    def describe(self) -> dict[str, Any]:
        """The model, its runtime and the board, as JSON values for the page."""
        board = read_board()
        return {
            "model": self._contract.name if self._contract is not None else self._file,
            "file": self._file,
            "variant": self._contract.variant if self._contract is not None else None,
            "runtime": f"{self._model.name} {self._model.version}",
            "xnnpack": self._model.xnnpack,
            "threads": self._threads,
            "board": board.model or board.cpu or board.architecture,
            "emulated": board.emulated,
            "range": self.range,
            "relative": self.scale.relative,
            "inverse": self.scale.inverse,
        }
