"""Results as CSV and as a Markdown table, for spreadsheets and pull requests."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from bench_depth.core.metrics import METRICS
from bench_depth.core.screen import printable
from bench_depth.report.accuracy_wording import band_summary, sharpness_summary
from bench_depth.report.wording import (
    board_name,
    cpu_text,
    runtimes_text,
    summary,
)
from bench_depth.results.advice import ADVICE
from bench_depth.results.records import STAGES, ModelRecord, Results

_STATISTICS = ("median", "p90", "p95", "p99", "minimum", "maximum", "mean", "sd")


def to_csv(results: Results) -> str:
    """One line per model, each figure in its own column; times in milliseconds.

    What was not measured is empty. Control characters in names become escapes.
    """
    stream = io.StringIO()
    rows = [_row(record, results) for record in results.models]
    writer = csv.DictWriter(stream, list(rows[0]) if rows else ["file"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return printable(stream.getvalue(), keep="\n")


def to_markdown(results: Results) -> str:
    """The comparison as a table, then the machine, sharpness, errors by distance and warnings."""
    lines = [*_table(*summary(results)), "", _measured_on(results)]
    for heads, rows in (sharpness_summary(results), band_summary(results)):
        if rows:
            lines += [*_table(heads, rows), ""]
    codes = [c for c in ADVICE if any(c in record.warnings for record in results.models)]
    lines += [f"- **{code}**: {ADVICE[code]}" for code in codes]
    return "\n".join(lines) + "\n"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [_line(heads), _line(["---", *["--:"] * (len(heads) - 1)]), *map(_line, rows)]


def _line(cells: Sequence[str]) -> str:
    escaped = [printable(cell).replace("|", "\\|") for cell in cells]
    return f"| {' | '.join(escaped)} |"


def _measured_on(results: Results) -> str:
    board = results.context.board
    inputs = ", ".join(sorted({record.input for record in results.models}))
    machine = f"{board_name(board)}, {cpu_text(board)}"
    return printable(f"{machine}; {runtimes_text(results)}; input {inputs}.") + "\n"


def _row(record: ModelRecord, results: Results) -> dict[str, object]:
    board = results.context.board
    row: dict[str, object] = {
        "file": record.file,
        "sha256": record.sha256,
        "bytes": record.bytes,
        "runtime": record.runtime.name,
        "runtime_version": record.runtime.version,
        "xnnpack": record.runtime.xnnpack,
        "input": record.input,
        "output": record.output,
        "threads": record.threads or results.context.threads,
        "load_ms": record.load_ms,
        "first_ms": record.first_ms,
        "peak_rss_bytes": record.peak_rss_bytes,
    }
    for stage in STAGES:
        timing = getattr(record, stage)
        for name in _STATISTICS:
            value = None if timing is None else getattr(timing.statistics, name)
            row[f"{stage}_{name}_ms"] = value
    row["runs"] = record.invoke.statistics.runs
    comparison, accuracy = record.comparison, record.accuracy
    row["ratio"] = comparison and comparison.ratio
    row["ratio_low"] = comparison and comparison.low
    row["ratio_high"] = comparison and comparison.high
    for name in METRICS:
        row[name] = accuracy and getattr(accuracy.mean, name)
    row["align"] = accuracy and accuracy.align
    row["score"] = accuracy and accuracy.score
    row["warnings"] = " ".join(record.warnings)
    row.update(board=board.model, cpu=board.cpu, system=board.system)
    row["created"] = results.context.created
    return row
