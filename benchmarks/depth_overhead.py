"""What `bench-depth depth` adds to decoding a photo, running the model and encoding the picture.

Whole: `bench_depth.depth.run.run`, the loop of the command, with its default output and its checks;
loading the model is not in it. Bare: for the same photos OpenCV decodes, the same runtime runs the
model, OpenCV encodes the pixels of the pictures that the command wrote, with the command's
settings, and the files are written, one after the other, without a flush to the disk. Both take
turns, 100 photos at a time, as one run of the command does them; the ratio should be at most 1.15.
It can be below 1, because the command draws and writes files while the model runs on.

    python benchmarks/depth_overhead.py [--model NAME_OR_FILE] [--photos DIR]
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import cv2
from bench_depth.depth.inputs import Input, find_inputs
from bench_depth.depth.model import DepthModel
from bench_depth.depth.outputs import FAST_PNG, OutputOptions, targets
from bench_depth.depth.run import run as write_depths
from bench_depth.model.released import default_model, find_model
from bench_depth.plausibility.output_checks import OutputWatch
from harness import ROOT, interleave, ready_model, run, write_result

PHOTOS = 100
ROUNDS = 9


def main() -> None:
    """Measures, prints the sums, writes the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model")
    parser.add_argument("--photos", type=Path, default=ROOT / "samples" / "rgb")
    options = parser.parse_args()
    name = options.model or default_model()
    model, invoke = DepthModel(name), ready_model(find_model(name)).invoke
    photos = list(itertools.islice(itertools.cycle(find_inputs([str(options.photos)])), PHOTOS))
    with tempfile.TemporaryDirectory() as folder:
        # `whole` is first: `bare` encodes what it wrote.
        contenders = {
            "whole": _whole(model, photos, Path(folder)),
            "bare": _bare(invoke, photos, Path(folder)),
        }
        sums = interleave(ROUNDS, contenders)
    for contender, figures in sums.items():
        print(f"{contender:8}{median(figures):9.1f} ms for {PHOTOS} photos")
    write_result(
        "depth_overhead",
        ratio=median(sums["whole"]) / median(sums["bare"]),
        target="<= 1.15",
        raw={"model": name, "photos": PHOTOS, "ms": sums},
    )


def _whole(model: DepthModel, photos: list[Input], folder: Path) -> Callable[[], float]:
    def once() -> float:
        watch = OutputWatch(model.metric, lambda line: None)
        started = time.perf_counter_ns()
        write_depths(model, photos, folder, OutputOptions(), True, lambda done: None, watch)
        return (time.perf_counter_ns() - started) / 1e6

    return once


def _bare(invoke: Callable[[], object], photos: list[Input], folder: Path) -> Callable[[], float]:
    def once() -> float:
        written = [targets(folder, photo, OutputOptions())["colour"] for photo in photos]
        pictures = [cv2.imread(str(path)) for path in written]
        started = time.perf_counter_ns()
        for photo, picture in zip(photos, pictures, strict=True):
            cv2.imread(photo.source)
            invoke()
            (folder / "bare.png").write_bytes(cv2.imencode(".png", picture, FAST_PNG)[1].tobytes())
        return (time.perf_counter_ns() - started) / 1e6

    return once


if __name__ == "__main__":
    run(main)
