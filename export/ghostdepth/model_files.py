"""Functions about model files: export, latency, calibrate_latency, count, bundle, demo, models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bench_depth.core.bounds import require_bounds

if TYPE_CHECKING:
    from bench_depth.model.released import ReleasedModel
    from ghostdepth_export.pages.demo import Demo
    from ghostdepth_export.pi4.counter import ModelCounts
    from ghostdepth_export.pi4.latency import LatencyPrediction
    from ghostdepth_export.pi4.latency.calibration.refit import Calibration

Log = Callable[[str], None]
ModelFile = Path | str


def export(
    checkpoint: Path | str,
    out: Path | str,
    *,
    formats: Sequence[str] | None = None,
    calibration: Path | str | None = None,
    camera: tuple[int, int] = (480, 640),
    output_size: tuple[int, int] | Literal["network"] | None = None,
    hfov: float | None = None,
    runtime: str = "2.5",
    strict: bool = False,
    log: Log = lambda line: None,
    warn: Log | None = None,
) -> list[Path]:
    """Writes model files, each verified against torch, and `verify.json`.

    Args:
        checkpoint: Checkpoint folder, or name of a released model.
        out: Folder for the files.
        formats: Names such as `int8.tflite`; None for all six.
        calibration: Dataset folder for int8 ranges and verification; None for the project's
            samples.
        camera: Height and width of the images that the files take, in pixels.
        output_size: Height and width of the depth map, in pixels; `network` for the network's own,
            which is faster; None for the camera's.
        hfov: Horizontal field of view in degrees of the camera that the depth in metres holds for;
            None for that of the training data.
        runtime: Oldest version of TensorFlow Lite that must run the .tflite files.
        strict: Whether implausible depth is an error, not only a warning.
        log: Called with one line of progress text.
        warn: Called with one line for each warning about the network's depth; None for `log`.

    Returns:
        The files, in the order of `formats`.

    Raises:
        UserError: An argument is wrong, the checkpoint cannot be read or exported, or a file
            differs too much from torch.
    """
    from ghostdepth_export.convert.export import export as run
    from ghostdepth_export.convert.formats import FORMATS
    from ghostdepth_export.host.checkout import SAMPLES, find_checkpoint

    return run(
        find_checkpoint(checkpoint),
        Path(out),
        camera=camera,
        output_size=output_size,
        hfov=hfov,
        formats=tuple(FORMATS) if formats is None else formats,
        calibration=SAMPLES if calibration is None else Path(calibration),
        runtime=runtime,
        strict=strict,
        progress=log,
        warn=warn or log,
    )


def latency(
    models: ModelFile | Sequence[ModelFile],
    *,
    threads: int = 4,
    clock_mhz: float | None = None,
    board: str | None = None,
    coefficients: Path | str | None = None,
    runtime: str = "2.5",
    on_prediction: Callable[[LatencyPrediction], None] = lambda prediction: None,
    log: Log = lambda line: None,
) -> list[LatencyPrediction]:
    """Predicts the latency of model files on a Raspberry Pi; needs QEMU, no Pi.

    The released models in LiteRT and ONNX Runtime need no QEMU: their instructions are stored.

    Args:
        models: One file or several, or names of released models.
        threads: Number of threads of the interpreter, 1 to 4.
        clock_mhz: CPU clock in MHz; None for that of the board.
        board: `rpi4`, `rpi4-1800`, `rpi5` or `zero2`; None for `rpi4`.
        coefficients: File that `calibrate_latency` wrote, instead of a board; for 2.5 only.
        runtime: Runtime that the latency is predicted for: `2.5` (TensorFlow Lite 2.5), `litert`,
            or `onnxruntime` for .onnx files.
        on_prediction: Called with each prediction as soon as it is made, which takes some ten
            seconds.
        log: Called with one line of progress text.

    Returns:
        One prediction for each model, with its error band and the latency of each op.

    Raises:
        UserError: An argument is wrong, a file is not one of the runtime, or QEMU is missing.
    """
    from bench_depth.core.errors import UserError
    from ghostdepth_export.pi4.latency import (
        DEFAULT_BOARD,
        check_one_board,
        check_request,
        predict_file_latencies,
        read_coefficients,
    )
    from ghostdepth_export.pi4.latency.runtimes import predict_runtime_latencies

    check_request(threads, clock_mhz, runtime)
    check_one_board(board, coefficients)
    files, board = _listed(models), board or DEFAULT_BOARD
    found = []
    if runtime == "2.5":
        known = None if coefficients is None else read_coefficients(Path(coefficients))
        predictions = predict_file_latencies(files, threads, clock_mhz, known, log, board)
    elif coefficients is None:
        predictions = predict_runtime_latencies(files, runtime, threads, clock_mhz, board, log)
    else:
        raise UserError(f"coefficients are of TensorFlow Lite 2.5; for {runtime} name a board")
    for prediction in predictions:
        on_prediction(prediction)
        found.append(prediction)
    return found


def calibrate_latency(
    results: ModelFile | Sequence[ModelFile],
    out: Path | str,
    *,
    models: Path | str | None = None,
    clock_mhz: float | None = None,
    coefficients: Path | str | None = None,
    log: Log = lambda line: None,
) -> Calibration:
    """Fits the coefficients of `latency` to measurements of a board; needs QEMU, no Pi.

    Args:
        results: Results file of bench-depth or several, all from one board.
        out: File for the coefficients, which `latency` takes.
        models: Folder of the measured models; None for the folder of each results file.
        clock_mhz: CPU clock in MHz, used if the results files do not state it.
        coefficients: File of coefficients to start from; None for those of a Raspberry Pi 4.
        log: Called with one line of progress text.

    Returns:
        The coefficients, and for each measurement the milliseconds that are predicted by the
        initial coefficients, by the fitted ones, and by those fitted without that model.

    Raises:
        UserError: A results file or model cannot be used, `out` cannot be written, or QEMU is
            missing.
    """
    from bench_depth.core.files import require_writable
    from ghostdepth_export.pi4.latency import read_coefficients, shipped, write_coefficients
    from ghostdepth_export.pi4.latency.calibration.calibrate import calibrate

    require_bounds(clock=clock_mhz)
    target = require_writable(Path(out))
    start = shipped() if coefficients is None else read_coefficients(Path(coefficients))
    found = calibrate(
        [Path(each) for each in _listed(results)],
        start,
        folder=None if models is None else Path(models),
        clock_mhz=clock_mhz,
        progress=log,
    )
    write_coefficients(target, found.coefficients)
    return found


def count(
    models: ModelFile | Sequence[ModelFile],
    *,
    runtime: str | None = None,
    on_count: Callable[[ModelCounts], None] = lambda counts: None,
    log: Log = lambda line: None,
) -> list[ModelCounts]:
    """Counts the instructions and cache misses of each op on an emulated Cortex-A72; needs QEMU.

    Args:
        models: One .tflite or .onnx file or several, or names of released models.
        runtime: Runtime that is counted: `2.5`, `litert` or `onnxruntime`; None for 2.5 with
            .tflite files and ONNX Runtime with .onnx files.
        on_count: Called with the counts of each model as soon as they are there.
        log: Called with one line of progress text.

    Returns:
        The counts of each model: those of every op, those outside the ops, and their sums.

    Raises:
        UserError: A file is not one of that runtime or cannot run in it, or QEMU is missing.
    """
    from ghostdepth_export.pi4.counter import choose_runtime, count_file

    files = [_counted(model, runtime) for model in _listed(models)]
    for path in files:
        choose_runtime(path, runtime)
    found = []
    for path in files:
        found.append(count_file(path, runtime, log))
        on_count(found[-1])
    return found


def _counted(model: ModelFile, runtime: str | None) -> Path:
    """The file of a model; of a released one that is named, the one of the runtime."""
    from bench_depth.model.released import find_model, read_catalogue

    released = [file.file for each in read_catalogue().models for file in each.files]
    names = [f"{model}-int8.onnx", f"{model}.onnx"] if runtime == "onnxruntime" else []
    known = [name for name in names if name in released]
    return find_model(known[0] if known and not Path(model).is_file() else model)


def bundle(
    target: str,
    models: ModelFile | Sequence[ModelFile],
    out: Path | str,
    *,
    samples: Path | str | None = None,
    log: Log = lambda line: None,
) -> str:
    """Writes a folder with models, bench-depth and its dependencies that a Pi installs offline.

    Args:
        target: `rpi4-bullseye`, `rpi4-bookworm` or `rpi4-trixie`.
        models: One file or several, or names of released models.
        out: Folder that is written; an earlier bundle is replaced.
        samples: Dataset folder that is included; None for none.
        log: Called with one line of progress text.

    Returns:
        The bundle's id: it changes with any of the contents.

    Raises:
        UserError: An argument is wrong, a model cannot run on the target, or the wheels cannot be
            fetched.
    """
    from ghostdepth_export.ship.bundle import build_bundle

    return build_bundle(
        target,
        _listed(models),
        Path(out),
        samples=None if samples is None else Path(samples),
        progress=log,
    )


def demo(
    checkpoint: Path | str | None = None,
    samples: Path | str | None = None,
    out: Path | str = "runs/demo",
    *,
    log: Log = lambda line: None,
) -> Demo:
    """Exports, verifies and measures a network, and writes a page with images and a table.

    Args:
        checkpoint: Checkpoint folder, or name of a released model; None for the most accurate one
            that is fast on a Raspberry Pi 4.
        samples: Dataset folder to measure on; None for the project's samples.
        out: Folder for the files, the results and the page.
        log: Called with one line of progress text.

    Returns:
        The page and the results.

    Raises:
        UserError: The checkpoint or the data cannot be read, or a file cannot be made or measured.
    """
    from bench_depth.model.released import default_model
    from ghostdepth_export.host.checkout import SAMPLES, find_checkpoint
    from ghostdepth_export.pages.demo import run

    folder = find_checkpoint(checkpoint or default_model())
    return run(folder, SAMPLES if samples is None else Path(samples), Path(out), log=log)


def models() -> list[ReleasedModel]:
    """Lists the released models, the fastest first.

    Returns:
        The name, the training data and the files of each model; a file has its predicted latency,
        accuracy, size and path.

    Raises:
        UserError: The catalogue of the installed package is damaged.
    """
    from bench_depth.model.released import read_catalogue

    return read_catalogue().models


def _listed(models: ModelFile | Sequence[ModelFile]) -> list[ModelFile]:
    return [models] if isinstance(models, (str, Path)) else list(models)
