"""Measurements on a real board, read from results files of bench-depth."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_depth.core.errors import UserError
from bench_depth.core.files import read_regular
from bench_depth.machine.board import SLOWED, UNDERVOLTAGE, flagged
from bench_depth.report.wording import board_name
from bench_depth.results.records import ModelRecord, Results, load
from ghostdepth_export.pi4.latency.prediction import MOST_THREADS, RUNTIMES

CPU = "Cortex-A72"
# A measurement with one of these warnings is used, but marked as doubtful.
_DOUBTFUL = ("throttling-unknown", "load", "swap", "noisy", "drift", "interrupted")


@dataclass(frozen=True)
class Measurement:
    """One model on a real board.

    Attributes:
        board: Name of the board, like `Raspberry Pi 4 Model B Rev 1.4`.
        model: Path of the model file; its checksum is that of the measured file.
        sha256: Checksum of the model file.
        threads: Number of threads of the interpreter, 1..4.
        clock_mhz: CPU clock during the measurement, in MHz.
        ms: Median latency in milliseconds.
        doubts: Warning codes of `bench_depth.results.advice` that make the measurement less
            certain.
    """

    board: str
    model: Path
    sha256: str
    threads: int
    clock_mhz: float
    ms: float
    doubts: tuple[str, ...]


def read_measurements(
    files: Sequence[Path], folder: Path | None, clock_mhz: float | None = None
) -> tuple[list[Measurement], list[str]]:
    """Reads the measurements that can be compared with predictions.

    Args:
        files: Results files of bench-depth, all from one board.
        folder: Folder of the model files; None for the folder of each results file.
        clock_mhz: CPU clock in MHz, used if the results files do not state it.

    Returns:
        The measurements, and one line for each model that is left out.

    Raises:
        UserError: A file is no results file, was measured on an emulator, another CPU or a
            throttled board, a model file is missing or differs, or no measurement is left.
    """
    found: list[Measurement] = []
    left_out: list[str] = []
    for path in files:
        results = load(path)
        _check_board(path, results)
        for record in results.models:
            if reason := _not_comparable(record):
                left_out.append(f"{path.name}: {record.file} is left out: {reason}")
            else:
                found.append(_measurement(path, results, record, folder or path.parent, clock_mhz))
    boards = {each.board for each in found}
    if len(boards) > 1:
        raise UserError(
            f"the results are of {len(boards)} boards ({', '.join(sorted(boards))}); "
            "calibrate each board separately"
        )
    if not found:
        why = f": {left_out[0]}" if left_out else ""
        raise UserError(f"there is no measurement to calibrate with{why}")
    return found, left_out


def _check_board(path: Path, results: Results) -> None:
    board = results.context.board
    if board.emulated:
        raise UserError(f"{path} was measured on an emulator: its times do not hold for a board")
    if CPU not in (board.cpu or ""):
        raise UserError(
            f"{path} was measured on {board.cpu or 'an unknown processor'}; the instruction counts "
            f"are those of a {CPU} (Raspberry Pi 4)"
        )
    for record in results.models:
        if flagged(record.before, record.after, SLOWED):
            raise UserError(
                f"{path}: the board lowered its clock while {record.file} ran (throttled); cool "
                "it or wait with bench-depth --cooldown-to, and measure again"
            )
        if flagged(record.before, record.after, UNDERVOLTAGE):
            raise UserError(
                f"{path}: the supply's voltage was too low while {record.file} ran; use a stronger "
                "supply, and measure again"
            )


def _not_comparable(record: ModelRecord) -> str:
    runtime = record.runtime
    if not record.file.endswith(".tflite"):
        return "only .tflite files can be counted"
    if not runtime.version.startswith(tuple(f"{version}." for version in RUNTIMES)):
        return f"it ran in {runtime.name} {runtime.version}, not in TensorFlow Lite {RUNTIMES[0]}"
    if runtime.xnnpack:
        return "it ran with XNNPACK"
    return ""


def _measurement(
    path: Path, results: Results, record: ModelRecord, folder: Path, clock_mhz: float | None
) -> Measurement:
    context = results.context
    threads = record.threads or context.threads
    cores = context.board.cores if context.affinity is None else len(context.affinity)
    if not threads <= min(cores, MOST_THREADS):
        raise UserError(
            f"{path}: {record.file} ran with {threads} threads on {cores} cores; measure with at "
            f"most {MOST_THREADS}, and with --affinity no more than it names"
        )
    # Between measurements a governor may lower the clock but not raise it.
    clocks = [clock for clock in (record.before.clock_mhz, record.after.clock_mhz) if clock]
    clock = max(clocks, default=context.board.max_clock_mhz or clock_mhz)
    if clock is None:
        raise UserError(f"{path} does not state the CPU clock; give it with --clock")
    return Measurement(
        board=board_name(context.board),
        model=_find(path, record, folder),
        sha256=record.sha256,
        threads=threads,
        clock_mhz=round(clock),
        ms=record.invoke.statistics.median,
        doubts=tuple(code for code in _DOUBTFUL if code in record.warnings),
    )


def _find(path: Path, record: ModelRecord, folder: Path) -> Path:
    model = folder / record.file
    if not os.path.lexists(model):
        raise UserError(
            f"{model}, which {path} measured, is missing; give its folder with --models"
        )
    if hashlib.sha256(read_regular(model)).hexdigest() != record.sha256:
        raise UserError(f"{model} is not the file that {path} measured (sha256)")
    return model
