"""Which released file is fastest on a board and in a runtime, by the catalogue's predictions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench_depth.model.released import Catalogue, ReleasedFile, ReleasedModel

# Of a camera with 30 frames a second.
_FRAME_MS = 1000 / 30
_PLAIN = "TensorFlow Lite 2.5"
_OTHERS = {"litert": "LiteRT", "onnxruntime": "ONNX Runtime"}


@dataclass(frozen=True)
class PredictedFile:
    """A released file in one runtime.

    Attributes:
        model: Model of the file.
        file: The file.
        runtime: Name of the runtime for people, like `LiteRT`.
        ms: Predicted milliseconds and the ends of their error band, by the board's name.
    """

    model: ReleasedModel
    file: ReleasedFile
    runtime: str
    ms: Mapping[str, tuple[float, float, float]]


def predicted_files(catalogue: Catalogue) -> list[PredictedFile]:
    """Every released file in every runtime that it was predicted for, in the catalogue's order."""
    return [
        PredictedFile(model, file, runtime, ms)
        for model in catalogue.models
        for file in model.files
        for runtime, ms in (
            (_PLAIN, file.board_ms),
            *((label, file.runtime_ms.get(name, {})) for name, label in _OTHERS.items()),
        )
        if ms
    ]


def fastest(catalogue: Catalogue, board: str) -> list[str]:
    """The fastest file on a board, and the most accurate one at 30 frames a second, in one line.

    A line more for each other runtime: the fastest file in it.

    Args:
        catalogue: Catalogue of the released models.
        board: Name of the board.
    """
    here = sorted(
        (each for each in predicted_files(catalogue) if board in each.ms),
        key=lambda each: each.ms[board],
    )
    if not here:
        return []
    first = here[0]
    line = f"Fastest for you ({catalogue.boards[board]}): {_told(first, board)}"
    steady = [
        (each.model.cameras_si_rmse, place)
        for place, each in enumerate(here)
        if each.model.cameras_si_rmse is not None and each.ms[board][2] <= _FRAME_MS
    ]
    if steady:
        line += f"; the most accurate within 33 ms: {_told(here[min(steady)[1]], board)}"
    lines = [f"{line}."]
    for runtime in (_PLAIN, *_OTHERS.values()):
        best = next((each for each in here if each.runtime == runtime), first)
        if best.runtime != first.runtime:
            lines.append(f"In {runtime}: {best.file.file}, {best.ms[board][0]:.1f} ms.")
    return lines


def _told(each: PredictedFile, board: str) -> str:
    ms, rmse = each.ms[board][0], each.file.rmse
    return f"{each.file.file} in {each.runtime}, {ms:.1f} ms, RMSE {rmse:.3f} m"
