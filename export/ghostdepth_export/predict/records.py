"""Predictions as a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench_depth.files import write_json
from ghostdepth_export.predict.time import Prediction

SCHEMA = "ghostdepth-predictions/1"


def write_predictions(path: Path, predictions: Sequence[Prediction]) -> None:
    """Writes every op of every prediction as JSON.

    Raises:
        UserError: The file cannot be written.
    """
    write_json(path, {"schema": SCHEMA, "predictions": [_plain(each) for each in predictions]})


def _plain(prediction: Prediction) -> dict[str, Any]:
    value = asdict(prediction)
    for plain, op in zip(value["ops"], prediction.ops, strict=True):
        plain.update(ms=op.ms, bound=op.bound)
    return {**value, "uncalibrated_ms": prediction.uncalibrated}
