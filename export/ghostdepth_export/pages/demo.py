"""From a checkpoint to a page: export, verify, measure, predict the latency, report."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench_depth.core import screen
from bench_depth.core.dataset import list_pairs
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.released import read_catalogue
from bench_depth.report import table
from bench_depth.report.html.page import write_page
from bench_depth.results.predicted_latency import PredictedLatency
from bench_depth.results.records import Results, load, save
from bench_depth.timing.measure import TimingPlan
from ghostdepth_export.convert.export import export
from ghostdepth_export.convert.formats import FORMATS
from ghostdepth_export.convert.source import evenly
from ghostdepth_export.host.screen import Screen
from ghostdepth_export.pages.scenes import read_scenes
from ghostdepth_export.pi4.latency import as_record, predict_file_latencies, shipped
from ghostdepth_export.pi4.latency.prediction import MOST_THREADS
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

# Formats whose depth maps the page shows; the error map is of the last one.
SHOWN = ("fp32.tflite", "int8.tflite")
SCENES = 6


def run(
    checkpoint: Path,
    samples: Path,
    out: Path,
    *,
    camera: tuple[int, int] = (480, 640),
    plan: TimingPlan | None = None,
) -> None:
    """Exports a checkpoint to every format, measures all files and writes a page about them.

    The page also has the latency predicted for a Raspberry Pi 4, or the reason why it has none.

    `out` then holds `models/` with the files and `verify.json`, `predictions/`, `results.json`
    and `report.html`. The table and the path of the page are printed.

    Args:
        checkpoint: A checkpoint folder.
        samples: A dataset folder, for calibration, verification and accuracy.
        out: Output folder; made where missing, files of an earlier run are replaced.
        camera: Height and width of the models' input image.
        plan: How long each file is timed; by default as `bench-depth` does.

    Raises:
        UserError: As `export.export`, and whatever stops `bench-depth`.
    """
    pairs = list_pairs(samples)
    page = out / "report.html"
    with _Steps(2 + 5 * len(FORMATS)) as steps:
        files = export(
            checkpoint, out / "models", camera=camera, calibration=samples, progress=steps.show
        )
        results = _measure(files, samples, out, plan or TimingPlan(), steps.show)
        results, unpredicted = _predict(results, files, steps.show)
        save(results, out / "results.json")
        steps.show(f"writing {page}")
        names = [pair.name for pair in evenly(pairs, SCENES)]
        shown = [
            out / "predictions" / file.name
            for kind, file in zip(FORMATS, files, strict=True)
            if kind in SHOWN
        ]
        scenes = read_scenes(samples, names, shown, results)
        write_page(
            results, {}, page, scenes=scenes, unpredicted=unpredicted, command="ghostdepth demo"
        )
    screen.show(table.render(results, sys.stdout.isatty()) + "\n")
    if unpredicted:
        screen.say(f"latency on a Raspberry Pi 4 is not predicted: {unpredicted}")
    screen.say(f"page: {page}")


def _measure(
    files: Sequence[Path], samples: Path, out: Path, plan: TimingPlan, show: Callable[[str], None]
) -> Results:
    """Runs `bench-depth` in a process of its own.

    In this process the memory of the export libraries would be counted as the models'.
    """
    target = out / "results.json"
    command: list[str | Path] = [sys.executable, "-m", "bench_depth"]
    for file in files:
        command += ["--model", file]
    command += ["--data", samples, "--json", target, "--save-predictions", out / "predictions"]
    command += ["--warmup", str(plan.warmup), "--min-runs", str(plan.min_runs)]
    command += ["--min-time", str(plan.min_time)]
    line = ""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stderr is not None
        for line in map(str.strip, child.stderr):
            show(line)
    if child.returncode:
        cause = line.removeprefix("bench-depth: ") or f"bench-depth ended with {child.returncode}"
        raise UserError(cause, child.returncode if child.returncode > 0 else MODEL_FAILED)
    return load(target)


def _predict(
    results: Results, files: Sequence[Path], show: Callable[[str], None]
) -> tuple[Results, str]:
    """Adds the latency predicted for a Raspberry Pi 4 to the records of .tflite files.

    Where nothing can be counted, files of a released checkpoint have the figures of the catalogue.

    Returns:
        The results, and the reason why nothing is predicted; empty where something is.
    """
    counted = [file for file in files if file.suffix == ".tflite"]
    try:
        predicted = {
            each.file: as_record(each) for each in predict_file_latencies(counted, progress=show)
        }
    except UserError as error:
        predicted = _shipped(results)
        if not predicted:
            return results, str(error)
    records = [
        dataclasses.replace(record, predicted=predicted.get(record.file))
        for record in results.models
    ]
    return dataclasses.replace(results, models=records), ""


def _shipped(results: Results) -> dict[str, PredictedLatency]:
    """The figures of the catalogue for the files of released checkpoints, by file."""
    of_checkpoint = {model.checkpoint_sha256: model for model in read_catalogue().models}
    board = shipped()
    found = {}
    for record in results.models:
        contract = record.contract
        model = of_checkpoint.get(contract.checkpoint_sha256) if contract is not None else None
        for file in model.files if model is not None else ():
            if file.file == record.file and file.pi4_ms is not None:
                found[file.file] = PredictedLatency(
                    board.board,
                    f"TensorFlow Lite {board.runtime}",
                    MOST_THREADS,
                    board.clock_mhz,
                    *file.pi4_ms,
                    method="the figures that came with the release",
                )
    return found


class _Steps:
    """A bar on a terminal's stderr, plain lines on anything else.

    Args:
        total: Number of lines that will be shown.
    """

    def __init__(self, total: int) -> None:
        self._console = Screen(error=True)
        self._bar = Progress(
            BarColumn(20),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=total)

    def __enter__(self) -> _Steps:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, line: str) -> None:
        """Shows one line of progress text."""
        if self._console.is_terminal:
            self._bar.update(self._task, description=line, advance=1)
        else:
            screen.say(line, error=True)
