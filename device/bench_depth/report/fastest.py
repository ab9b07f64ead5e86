"""Which released file is fastest on a board and in a runtime, by the catalogue's predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bench_depth.model.released import (
    ELSEWHERE,
    FRAME_MS,
    Catalogue,
    ReleasedFile,
    ReleasedModel,
)

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


def about_as_fast(ms: tuple[float, float, float], other: tuple[float, float, float]) -> bool:
    """Whether the predictions leave open which of two runtimes is faster.

    They do where the predicted latency of one lies in the error band of the other. Within a
    runtime the errors of two files are much alike, so there the milliseconds decide.

    Args:
        ms: Predicted milliseconds in one runtime, and the ends of their error band.
        other: The same in the other one.
    """
    return other[1] <= ms[0] <= other[2] or ms[1] <= other[0] <= ms[2]


def among_fastest(files: Sequence[PredictedFile], board: str) -> list[PredictedFile]:
    """The fastest file on a board, and those that are about as fast in another runtime.

    Args:
        files: Predictions, of which those without the board do not count.
        board: Name of the board.
    """
    known = [each for each in files if board in each.ms]
    first = min(known, key=lambda each: each.ms[board], default=None)
    return [
        each
        for each in known
        if first is not None
        and (each is first or (each.runtime != first.runtime and _even(each, first, board)))
    ]


def fastest(catalogue: Catalogue, board: str) -> list[str]:
    """The fastest file on a board, and the most accurate one at 30 frames a second, in one line.

    A line more for each other runtime: the fastest file in it, and whether that is about as fast.

    Args:
        catalogue: Catalogue of the released models.
        board: Name of the board.
    """
    known = _known(catalogue, board)
    if not known:
        return []
    best = _best(known, board)
    lines = [f"Fastest for you ({catalogue.boards[board]}): {_shown(best, board)}."]
    for other in _in_other_runtimes(known):
        about = ", about as fast" if _even(other, known[0], board) else ""
        lines.append(f"In {other.runtime}: {other.file.file}, {_ms(other, board)}{about}.")
    return lines


def not_here(catalogue: Catalogue, board: str) -> list[str]:
    """Where the files that `fastest` names are to be had, and what is best until then.

    Args:
        catalogue: Catalogue of the released models.
        board: Name of the board.

    Returns:
        At most two lines; none where all of those files are here.
    """
    known = _known(catalogue, board)
    best = _best(known, board) if known else []
    named = [*best, *_in_other_runtimes(known)]
    absent = dict.fromkeys(each.file.file for each in named if each.file.path is None)
    lines = [f"Not here: {', '.join(absent)}; {ELSEWHERE}."] if absent else []
    here = [each for each in known if each.file.path is not None]
    if here and _best(here, board) != best:
        lines.append(f"Of the files here: {_shown(_best(here, board), board)}.")
    return lines


def default_reason(catalogue: Catalogue) -> str:
    """The model that is taken where none is named, why, and what is faster or errs less.

    Args:
        catalogue: Catalogue of the released models.
    """
    default, leading = catalogue.default, catalogue.leading
    here = [model for model in catalogue.models if model.installed]
    text = (
        f"{_predicted(default)}, the most accurate model here that holds 30 frames a second on a "
        "Raspberry Pi 4 by prediction"
    )
    if here and here[0] is not default:
        text += f"; the fastest here: {_predicted(here[0])}"
    if leading is not default:
        text += f"; more accurate at 30 frames a second: {_predicted(leading)}, not here"
    return text


def _predicted(model: ReleasedModel) -> str:
    band = model.preferred.pi4_ms
    return model.name if band is None else f"{model.name} ({band[0]:.1f} ms)"


def _known(catalogue: Catalogue, board: str) -> list[PredictedFile]:
    """The files that were predicted for a board, the fastest first."""
    files = [each for each in predicted_files(catalogue) if board in each.ms]
    return sorted(files, key=lambda each: each.ms[board])


def _even(one: PredictedFile, other: PredictedFile, board: str) -> bool:
    return about_as_fast(one.ms[board], other.ms[board])


def _in_other_runtimes(files: list[PredictedFile]) -> list[PredictedFile]:
    """The fastest file of each runtime but that of the first file."""
    by_runtime = {each.runtime: each for each in reversed(files)}
    return [
        by_runtime[name]
        for name in (_PLAIN, *_OTHERS.values())
        if name in by_runtime and name != files[0].runtime
    ]


def _best(files: list[PredictedFile], board: str) -> list[PredictedFile]:
    """The fastest file, and the most accurate one at 30 frames a second if there is one.

    Args:
        files: At least one file, the fastest first.
        board: Name of the board.
    """
    steady = [
        (each.model.cameras_si_rmse, place)
        for place, each in enumerate(files)
        if each.model.cameras_si_rmse is not None and each.ms[board][2] <= FRAME_MS
    ]
    return [files[0], *([files[min(steady)[1]]] if steady else [])]


def _shown(best: list[PredictedFile], board: str) -> str:
    return "; the most accurate within 33 ms: ".join(
        f"{each.file.file} in {each.runtime}, {_ms(each, board)}, RMSE {each.file.rmse:.3f} m"
        for each in best
    )


def _ms(each: PredictedFile, board: str) -> str:
    ms, low, high = each.ms[board]
    return f"{ms:.1f} ms ({low:.1f} to {high:.1f})"
