"""Predicts a model's latency on a Raspberry Pi from instruction counts on an emulated CPU."""

from ghostdepth_export.pi4.latency.boards import (
    BOARDS,
    DEFAULT_BOARD,
    PredictedBoard,
    board_coefficients,
    check_one_board,
    find_board,
)
from ghostdepth_export.pi4.latency.coefficients import (
    Coefficient,
    Coefficients,
    ErrorOf,
    read_coefficients,
    shipped,
    write_coefficients,
)
from ghostdepth_export.pi4.latency.prediction import (
    LatencyPrediction,
    OpLatency,
    check_request,
    predict_file_latencies,
    predict_latency,
)
from ghostdepth_export.pi4.latency.records import as_record, write_predictions
from ghostdepth_export.pi4.latency.threads import threads_used
from ghostdepth_export.pi4.latency.work import OpWork, read_work

__all__ = [
    "BOARDS",
    "DEFAULT_BOARD",
    "Coefficient",
    "Coefficients",
    "ErrorOf",
    "LatencyPrediction",
    "OpLatency",
    "OpWork",
    "PredictedBoard",
    "as_record",
    "board_coefficients",
    "check_one_board",
    "check_request",
    "find_board",
    "predict_file_latencies",
    "predict_latency",
    "read_coefficients",
    "read_work",
    "shipped",
    "threads_used",
    "write_coefficients",
    "write_predictions",
]
