"""Predictions as a file, and as records of bench-depth's results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench_depth.core.files import write_json
from bench_depth.results.predicted_latency import PredictedLatency
from ghostdepth_export.pi4.latency.prediction import LatencyPrediction

SCHEMA = "ghostdepth-predictions/1"


def write_predictions(path: Path, predictions: Sequence[LatencyPrediction]) -> None:
    """Writes every op of every prediction as JSON.

    Raises:
        UserError: The file cannot be written.
    """
    write_json(path, {"schema": SCHEMA, "predictions": [_plain(each) for each in predictions]})


def as_record(prediction: LatencyPrediction) -> PredictedLatency:
    """A prediction in the form of a results file, which holds it beside the measurements."""
    return PredictedLatency(
        board=prediction.board,
        runtime=f"{prediction.label} {prediction.runtime}",
        threads=prediction.threads,
        clock_mhz=prediction.clock_mhz,
        ms=prediction.ms,
        low_ms=prediction.low,
        high_ms=prediction.high,
        method="instruction counts on an emulated Cortex-A72",
    )


def _plain(prediction: LatencyPrediction) -> dict[str, Any]:
    value = asdict(prediction)
    for plain, op in zip(value["ops"], prediction.ops, strict=True):
        plain.update(ms=op.ms, bound=op.bound)
    return {**value, "uncalibrated_ms": prediction.uncalibrated, "unsplit_ms": prediction.unsplit}
