"""The released models: a catalogue of their figures, and their files by name.

The catalogue and the files lie in `bench_depth/models`; `make models` in a clone writes both, and
every other format to `build/models`.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional, Union

from bench_depth.core.errors import UserError, did_you_mean
from bench_depth.core.files import plain_name, read_json
from bench_depth.core.jsonable import build
from bench_depth.machine.board import Board

SCHEMA = "ghostdepth-catalogue/1"
SUFFIXES = (".tflite", ".onnx")
_PACKAGE = Path(__file__).resolve().parents[1]
MODELS = _PACKAGE / "models"
CATALOGUE = MODELS / "catalogue.json"
# A dataset folder of a few of the project's rendered photos, to try a model on.
SAMPLES = _PACKAGE / "samples"
_CLONE = _PACKAGE.parents[1]
# Of several files of a model the first of these: int8 is the fastest on a Raspberry Pi.
VARIANTS = ("int8.tflite", "fp32.tflite", "fp16.tflite", "dynamic.tflite", "fp32.onnx", "int8.onnx")
# From this clock on a Raspberry Pi 4 counts as one at 1800 MHz.
FAST_PI4_MHZ = 1750
# Of a camera with 30 frames a second.
FRAME_MS = 1000 / 30
# How a file is had that is not here.
ELSEWHERE = (
    "take it from the project's release, or from a clone (models/, or build/models after "
    "`make models`), and give its path"
)


@dataclass(frozen=True)
class ReleasedFile:
    """The figures of one file of a released model.

    Attributes:
        file: Name of the file.
        bytes: Size of the file.
        rmse: Root mean square error in metres.
        si_rmse: Scale-invariant root mean square error of log depth.
        delta_1: Fraction of the pixels within a factor of 1.25.
        pi4_ms: Predicted milliseconds on a Raspberry Pi 4, and the ends of their error band; None
            where nothing was predicted.
        board_ms: The same for each board of the catalogue by its name; empty where nothing was
            predicted.
        runtime_ms: The same in LiteRT and ONNX Runtime, by the runtime's name and the board's.
    """

    file: str
    bytes: int
    rmse: float
    si_rmse: float
    delta_1: float
    pi4_ms: Optional[tuple[float, float, float]] = None
    board_ms: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    runtime_ms: dict[str, dict[str, tuple[float, float, float]]] = field(default_factory=dict)

    @property
    def path(self) -> Optional[Path]:
        """Where the file is here; None where it is not."""
        # In the package; in a clone, beside its checkpoint, and where `make models` builds it.
        beside = _CLONE / "models" / self.file.rpartition("-")[0]
        places = (folder / self.file for folder in (MODELS, beside, _CLONE / "build" / "models"))
        return next((place for place in places if place.is_file()), None)


@dataclass(frozen=True)
class ReleasedModel:
    """A released model.

    Attributes:
        name: Name of the model.
        checkpoint_sha256: SHA-256 of the weights that its files are exported from.
        trained_on: Training data, and their terms.
        files: Files of the model in the order in which they are preferred.
        cameras_si_rmse: Mean scale-invariant error of the int8 file over photos of several cameras,
            most of which it was not trained on; None where it was not measured.
    """

    name: str
    checkpoint_sha256: str
    trained_on: str
    files: list[ReleasedFile]
    cameras_si_rmse: Optional[float] = None

    @property
    def installed(self) -> list[tuple[ReleasedFile, Path]]:
        """The files that are here, with their paths; the preferred one first."""
        return [(file, file.path) for file in self.files if file.path is not None]

    @property
    def preferred(self) -> ReleasedFile:
        """The file that the model's name stands for; the first one where none is here."""
        return next((file for file in self.files if file.path is not None), self.files[0])


@dataclass(frozen=True)
class Catalogue:
    """The released models and how their figures were found.

    Attributes:
        schema: `SCHEMA`.
        latency: How the milliseconds were predicted.
        accuracy: What the errors were measured on.
        models: The models, the fastest first.
        boards: Titles of the boards by their names.
    """

    schema: str
    latency: str
    accuracy: str
    models: list[ReleasedModel]
    boards: dict[str, str] = field(default_factory=dict)

    @property
    def leading(self) -> ReleasedModel:
        """The most accurate model that holds 30 frames a second on a Raspberry Pi 4."""
        return most_accurate(self.models)

    @property
    def default(self) -> ReleasedModel:
        """The model to take where none is named: of those that are here, as `leading`."""
        return most_accurate([each for each in self.models if each.installed] or self.models)


def most_accurate(models: Sequence[ReleasedModel]) -> ReleasedModel:
    """The model that errs least on several cameras, of those that hold 30 frames a second.

    A model holds them if a Raspberry Pi 4 runs its preferred file within the time of a frame, at
    the far end of the error band of the predicted latency.

    Args:
        models: At least one model, the fastest first. Where none holds 30 frames a second, it is
            the first one.
    """
    steady = [
        (each.cameras_si_rmse, place)
        for place, each in enumerate(models)
        for band in [each.preferred.pi4_ms]
        if each.cameras_si_rmse is not None and band is not None and band[2] <= FRAME_MS
    ]
    return models[min(steady)[1] if steady else 0]


@functools.lru_cache(maxsize=1)
def read_catalogue() -> Catalogue:
    """The catalogue of this package.

    Raises:
        UserError: The catalogue is missing or damaged.
    """
    try:
        catalogue = build(Catalogue, read_json(CATALOGUE))
    except ValueError as error:
        raise UserError(f"{CATALOGUE}: {error}; install bench-depth again") from error
    for model in catalogue.models:
        for file in model.files:
            plain_name(file.file, f"{CATALOGUE}: a file")
    return catalogue


def default_model() -> str:
    """Name of the released model to take where none is named."""
    return read_catalogue().default.name


def released_board(board: Board) -> str:
    """The board of the catalogue that is like the one that this runs on; else a Raspberry Pi 4."""
    model = board.model or ""
    if "Pi 5" in model or "Module 5" in model:
        return "rpi5"
    if "Zero 2" in model:
        return "zero2"
    return "rpi4-1800" if "Pi 4" in model and (board.max_clock_mhz or 0) >= FAST_PI4_MHZ else "rpi4"


def find_model(model: Union[str, Path]) -> Path:
    """The file of a model.

    Args:
        model: The path of a .tflite or .onnx file; the name of a released model, such as
            `ghostdepth-s`; or that of one of its files, such as `ghostdepth-s-fp32`.

    Returns:
        The path of a file, which exists if a name was given; of a model name the file that is
        fastest on a Raspberry Pi.

    Raises:
        UserError: There is no such file or name, or the file of the name is not here.
    """
    path, text = Path(model), str(model)
    if os.path.isfile(path):  # noqa: PTH113 - False for names that no file can have.
        return path
    known = _names()
    if text in known:
        return _here(text, known[text])
    if path.suffix in SUFFIXES:
        if path.name in known:
            raise UserError(f"{text} does not exist; give the released file as {path.stem}")
        return path
    here = [name for name, files in known.items() if any(file.path for file in files)]
    names = ", ".join(each.name for each in read_catalogue().models if each.installed)
    raise UserError(
        f"there is no model {text[:80]!r}: neither a file nor a released name; "
        f"released here: {names or 'none'}{did_you_mean(text, here)}"
    )


def below_samples(path: Union[str, Path]) -> bool:
    """Whether a path is `samples`, as in the documents, or below it."""
    return Path(path).parts[:1] == ("samples",)


def samples_hint(path: Union[str, Path]) -> str:
    """Where the photos lie that come along, for the error of a missing path below `samples`."""
    return f"; photos to try lie in {SAMPLES}" if below_samples(path) else ""


def _names() -> dict[str, list[ReleasedFile]]:
    """Every accepted name, with the files that it stands for; the preferred one first."""
    names: dict[str, list[ReleasedFile]] = {}
    for model in read_catalogue().models:
        names[model.name] = model.files
        for file in model.files:
            names[file.file] = [file]
            names.setdefault(Path(file.file).stem, []).append(file)
    return names


def _here(name: str, files: list[ReleasedFile]) -> Path:
    for file in files:
        if file.path is not None:
            return file.path
    raise UserError(f"the file of the released model {name} is not here; {ELSEWHERE}")
