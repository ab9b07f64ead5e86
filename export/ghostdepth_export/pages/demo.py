"""From a checkpoint to a page: export, verify, measure, predict the latency, report."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_depth.core.dataset import list_pairs
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.released import read_catalogue
from bench_depth.report.html.page import write_page
from bench_depth.results.predicted_latency import PredictedLatency
from bench_depth.results.records import Results, load, save
from bench_depth.timing.measure import TimingPlan
from ghostdepth_export.convert.export import export
from ghostdepth_export.convert.formats import FORMATS
from ghostdepth_export.convert.source import evenly
from ghostdepth_export.pages.scenes import read_scenes
from ghostdepth_export.pi4.latency import as_record, predict_file_latencies, shipped
from ghostdepth_export.pi4.latency.prediction import MOST_THREADS
from ghostdepth_train.run_folder import run_folder

# Formats whose depth maps the page shows; the error map is of the last one.
SHOWN = ("fp32.tflite", "int8.tflite")
SCENES = 6


# Number of lines that `run` logs.
STEPS = 2 + 5 * len(FORMATS)


@dataclass(frozen=True)
class Demo:
    """What a demo found.

    Attributes:
        page: The HTML file.
        results: Latency and accuracy of every file, as in `results.json`.
        unpredicted: Why no latency is predicted for a Raspberry Pi 4; empty where one is.
    """

    page: Path
    results: Results
    unpredicted: str


def run(
    checkpoint: Path,
    samples: Path,
    out: Path,
    *,
    camera: tuple[int, int] = (480, 640),
    plan: TimingPlan | None = None,
    log: Callable[[str], None] = lambda line: None,
) -> Demo:
    """Exports a checkpoint to every format, measures all files and writes a page about them.

    The page also has the latency predicted for a Raspberry Pi 4, or the reason why it has none, and
    that of the released files in every runtime on every board.

    `out` then holds `models/` with the files and `verify.json`, `predictions/`, `results.json`
    and `report.html`.

    Args:
        checkpoint: A checkpoint folder.
        samples: A dataset folder, for calibration, verification and accuracy.
        out: Output folder; made where missing, files of an earlier run are replaced.
        camera: Height and width of the models' input image.
        plan: Duration of each file's timing; by default that of `bench-depth`.
        log: Called with one line of progress text, about `STEPS` times.

    Raises:
        UserError: As `export.export`, another process works in `out`, and whatever stops
            `bench-depth`.
    """
    with run_folder(out, "ghostdepth demo"):
        pairs = list_pairs(samples)
        page = out / "report.html"
        files = export(checkpoint, out / "models", camera=camera, calibration=samples, progress=log)
        results = _measure(files, samples, out, plan or TimingPlan(), log)
        results, unpredicted = _predict(results, files, log)
        save(results, out / "results.json")
        log(f"writing {page}")
        names = [pair.name for pair in evenly(pairs, SCENES)]
        shown = [
            out / "predictions" / file.name
            for kind, file in zip(FORMATS, files, strict=True)
            if kind in SHOWN
        ]
        scenes = read_scenes(samples, names, shown, results)
        write_page(
            results,
            {},
            page,
            scenes=scenes,
            unpredicted=unpredicted,
            released=read_catalogue(),
            command="ghostdepth demo",
        )
        return Demo(page, results, unpredicted)


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
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
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
