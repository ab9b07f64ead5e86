"""The command that predicts the latency of a model on a Raspberry Pi: latency."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from bench_depth.core.bounds import require_bounds
from bench_depth.core.errors import UserError
from bench_depth.core.screen import say

from ghostdepth import model_files
from ghostdepth.commands.app import app, output_file

if TYPE_CHECKING:
    from ghostdepth_export.host.screen import Screen
    from ghostdepth_export.pi4.latency import LatencyPrediction


@app.command()
def latency(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Model files, or names of released models; with --calibrate results files."
        ),
    ],
    threads: Annotated[int, typer.Option(help="Threads of the interpreter, 1 to 4.")] = 4,
    board: Annotated[
        str | None,
        typer.Option(help="rpi4, rpi4-1800, rpi5 or zero2.", show_default="rpi4"),
    ] = None,
    clock: Annotated[
        float | None, typer.Option(help="CPU clock in MHz.", show_default="the board's")
    ] = None,
    runtime: Annotated[
        str, typer.Option(help="2.5 (TensorFlow Lite), litert, or onnxruntime.")
    ] = "2.5",
    coefficients: Annotated[
        Path | None, typer.Option(help="Coefficients of a board, from --calibrate.")
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="JSON file for all figures.", callback=output_file)
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Page: each op against the core's limits.", callback=output_file),
    ] = None,
    top: Annotated[int, typer.Option(help="Number of slowest ops to print.")] = 12,
    calibrate: Annotated[
        bool, typer.Option("--calibrate", help="Fit coefficients to measurements of bench-depth.")
    ] = False,
    models: Annotated[
        Path | None,
        typer.Option(help="Folder of the measured models.", show_default="beside the results"),
    ] = None,
    out: Annotated[
        Path, typer.Option(help="Output file of --calibrate.", callback=output_file)
    ] = Path("board.json"),
) -> None:
    """Predict a model's latency on a Raspberry Pi from instruction counts; needs no Pi."""
    from ghostdepth_export.pi4.latency import (
        check_one_board,
        check_request,
        write_predictions,
    )

    require_bounds(top=top)
    check_request(threads, clock, runtime)
    check_one_board(board, coefficients or calibrate)
    if runtime != "2.5" and calibrate:
        raise UserError(
            f"--calibrate is of TensorFlow Lite 2.5 only; leave out --runtime {runtime}"
        )
    if runtime == "onnxruntime" and html:
        raise UserError(
            "--html needs the work of each op, which is not known in ONNX Runtime; choose "
            "--runtime 2.5 or litert"
        )
    if calibrate:
        _calibrate(files, coefficients, models, clock, out)
        return
    predictions = _predict(files, coefficients, board, runtime, threads, clock, top)
    if json is not None:
        write_predictions(json, predictions)
    if html is not None:
        from ghostdepth_export.pages.roofline_page import write_page

        write_page(html, predictions)
        say(f"page: {html}")


def _predict(
    files: list[Path],
    coefficients: Path | None,
    board: str | None,
    runtime: str,
    threads: int,
    clock: float | None,
    top: int,
) -> list[LatencyPrediction]:
    from ghostdepth_export.pi4.latency.tables import compared, heading, show

    console = _console()
    shown: list[str] = []

    def one(prediction: LatencyPrediction) -> None:
        if not shown:
            console.print(heading(prediction))
        show(prediction, top, console)
        shown.append(prediction.file)

    predictions = model_files.latency(
        files,
        threads=threads,
        clock_mhz=clock,
        board=board,
        coefficients=coefficients,
        runtime=runtime,
        on_prediction=one,
        log=_log,
    )
    if len(predictions) > 1:
        console.print()
        console.print(compared(predictions))
    return predictions


def _calibrate(
    files: list[Path],
    coefficients: Path | None,
    models: Path | None,
    clock: float | None,
    out: Path,
) -> None:
    from ghostdepth_export.pi4.latency.calibration.table import show_calibration

    found = model_files.calibrate_latency(
        files, out, models=models, clock_mhz=clock, coefficients=coefficients, log=_log
    )
    show_calibration(found, _console())
    say(f"written: {out}; use it with: ghostdepth latency --coefficients {out} MODEL.tflite")


def _log(line: str) -> None:
    say(line, error=True)


def _console() -> Screen:
    from ghostdepth_export.host.screen import Screen

    # Wide enough for every column: a table in a file or a pipe must not be truncated.
    return Screen(highlight=False, pipe_width=200)
