"""Predicts a model's milliseconds on a Raspberry Pi 4 from counts on the emulated processor."""

from ghostdepth_export.pi4.latency.coefficients import (
    Coefficient,
    Coefficients,
    ErrorOf,
    read_coefficients,
    shipped,
    write_coefficients,
)
from ghostdepth_export.pi4.latency.prediction import (
    OpTime,
    Prediction,
    check_request,
    predict,
    predict_files,
)
from ghostdepth_export.pi4.latency.records import as_record, write_predictions
from ghostdepth_export.pi4.latency.threads import threads_used
from ghostdepth_export.pi4.latency.work import OpWork, read_work

__all__ = [
    "Coefficient",
    "Coefficients",
    "ErrorOf",
    "OpTime",
    "OpWork",
    "Prediction",
    "as_record",
    "check_request",
    "predict",
    "predict_files",
    "read_coefficients",
    "read_work",
    "shipped",
    "threads_used",
    "write_coefficients",
    "write_predictions",
]
