"""The verb from end to end: the released model through the real runtime, counted and predicted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench_depth.model.released import MODELS
from ghostdepth_export.pi4.counter import count
from ghostdepth_export.pi4.latency import read_work, shipped
from ghostdepth_export.pi4.latency.costs import costs

from tests.arm64.conftest import need

RELEASED = MODELS / "ghostdepth-nano-int8.tflite"


def test_the_released_model_is_predicted(bullseye_root: Path, tmp_path: Path) -> None:
    need("gcc", "gcc")
    need("setarch", "util-linux")
    report = tmp_path / "predictions.json"
    command = [sys.executable, "-c", "from ghostdepth.commands import main; main()"]
    done = subprocess.run(
        [*command, "latency", str(RELEASED), "--json", str(report), "--threads", "4"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(
        "predicted for Raspberry Pi 4, TensorFlow Lite 2.5, from instruction counts"
    )
    (prediction,) = json.loads(report.read_text())["predictions"]
    assert prediction["low"] < prediction["ms"] < prediction["high"]
    assert len(prediction["ops"]) == len(read_work(RELEASED))
    # The same by the sums alone, of counts made anew; misses vary a little from run to run.
    known = shipped()
    of = costs(count(RELEASED, bullseye_root), read_work(RELEASED), 4)
    ms = (known.cycle.value * of.cycles + known.line.value * of.lines) / 1e6
    ms += known.wake.value * of.wakes
    assert prediction["ms"] == pytest.approx(ms, rel=1e-3)
