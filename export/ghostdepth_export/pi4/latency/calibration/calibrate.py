"""Results files of bench-depth from one board -> coefficients of that board."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ghostdepth_export.pi4.counter import count
from ghostdepth_export.pi4.counter.graph import read_ops
from ghostdepth_export.pi4.counter.plugin import find_qemu
from ghostdepth_export.pi4.latency.calibration.measured import read_measurements
from ghostdepth_export.pi4.latency.calibration.refit import Calibration, CountedModel, refit
from ghostdepth_export.pi4.latency.coefficients import Coefficients
from ghostdepth_export.pi4.latency.work import read_work


def calibrate(
    files: Sequence[Path],
    start: Coefficients,
    *,
    folder: Path | None = None,
    clock_mhz: float | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Calibration:
    """Counts the instructions of the measured models and fits coefficients to their latencies.

    Args:
        files: Results files of bench-depth, all from one board.
        start: Coefficients to start from.
        folder: Folder of the model files; None for the folder of each results file.
        clock_mhz: CPU clock in MHz, used if the results files do not state it.
        progress: Called with one line of progress text at each slow step and for each model that is
            left out.

    Raises:
        UserError: The measurements are refused (see `read_measurements`), a model cannot be
            counted, or a program is missing.
    """
    from ghostdepth_export.pi4.emulator import build_root

    measurements, left_out = read_measurements(files, folder, clock_mhz)
    for line in left_out:
        progress(line)
    models = {each.sha256: each.model for each in measurements}
    for model in models.values():
        read_ops(model)
    find_qemu()
    root = build_root("bullseye", progress)
    counted = {}
    for sha256, model in models.items():
        progress(f"counting {model.name}")
        counted[sha256] = CountedModel(count(model, root), read_work(model))
    return refit(measurements, counted, start)
