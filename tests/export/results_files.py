"""Results of bench-depth that nothing was measured for."""

from __future__ import annotations

import dataclasses
from typing import Any

from bench_depth.machine.board import Board, Health
from bench_depth.results.records import Context, ModelRecord, Results, RuntimeRecord
from bench_depth.timing.measure import Timing, summarize

PI = Board(
    "Raspberry Pi 4 Model B", "Cortex-A72", 4, "aarch64", "Debian", 1500, "performance", False
)
WELL = Health(1500, 50.0, 0)


def results_of(file: str, ms: float = 12.0, board: Board = PI, **changes: Any) -> Results:
    """One model whose runs took so long each; `changes` are fields of its record."""
    context = Context("2026-01-02T03:04:05+00:00", "bench-depth", None, "3.9", board, 4, 5, 50, 5.0)
    times = Timing([int(ms * 1e6)] * 3, summarize([int(ms * 1e6)] * 3))
    record = ModelRecord(
        file=file,
        bytes=1,
        sha256="0" * 64,
        contract=None,
        runtime=RuntimeRecord("tflite_runtime", "2.5.0.post1", False),
        input="1x8 float32",
        output="1x8 float32",
        load_ms=1.0,
        first_ms=ms,
        preprocess=None,
        invoke=times,
        postprocess=None,
        peak_rss_bytes=1,
        before=WELL,
        after=WELL,
        accuracy=None,
        warnings=[],
    )
    return Results(context, [dataclasses.replace(record, **changes)])
