"""The printed table: at most 80 columns, plain text unless it goes to a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from bench_depth.advice import ADVICE
from bench_depth.results import Accuracy, Context, ModelRecord, Results

WIDTH = 80
_BOLD, _PLAIN = "\033[1m", "\033[0m"


def render(results: Results, terminal: bool = False) -> str:
    """The whole report.

    Args:
        results: What was measured.
        terminal: Whether the text may hold terminal codes (a bold heading).

    Returns:
        Lines of at most 80 columns (terminal codes not counted), each ended.
    """
    lines = _context_lines(results.context)
    for record in results.models:
        lines += ["", *_model_lines(record, results.context)]
    if results.models:
        header, *rows = _table(results.models)
        lines += ["", f"{_BOLD}{header}{_PLAIN}" if terminal else header, *rows]
        lines += _footnotes(results.models)
    return "\n".join(lines) + "\n"


def _context_lines(context: Context) -> list[str]:
    board = context.board
    parts = [board.model or "unknown board", f"{board.cores}x {board.cpu or 'unknown CPU'}"]
    if board.max_clock_mhz is not None:
        parts.append(f"up to {board.max_clock_mhz:.0f} MHz")
    if board.governor is not None:
        parts.append(f"governor {board.governor}")
    return [
        *_wrap(f"{context.program}, Python {context.python}", ""),
        *_wrap(", ".join([*parts, board.architecture, board.system]), ""),
    ]


def _model_lines(record: ModelRecord, context: Context) -> list[str]:
    runtime = record.runtime
    xnnpack = {True: ", XNNPACK on", False: ", XNNPACK off", None: ""}[runtime.xnnpack]
    threads = f"{context.threads} thread{'s' if context.threads > 1 else ''}"
    timed = record.invoke.statistics
    facts = [
        f"{runtime.name} {runtime.version}{xnnpack}, {threads}",
        f"{record.bytes / 1e6:.2f} MB, {record.input} -> {record.output}",
        f"{timed.runs} runs, {timed.mean:.2f} +- {timed.sd:.2f} ms, "
        f"{timed.minimum:.2f} to {timed.maximum:.2f} ms, p95 {timed.p95:.2f} ms",
        f"load {record.load_ms:.1f} ms, first run {record.first_ms:.1f} ms, peak memory "
        f"{record.peak_rss_bytes / 1e6:.0f} MB",
        f"preprocess {record.preprocess.statistics.median:.2f} ms, "
        f"postprocess {record.postprocess.statistics.median:.2f} ms",
        *_health(record),
    ]
    lines = _wrap(record.file, "")
    for fact in facts:
        lines += _wrap(fact, "  ")
    return lines


def _health(record: ModelRecord) -> list[str]:
    changes = []
    for name, before, after in (
        ("MHz", record.before.clock_mhz, record.after.clock_mhz),
        ("C", record.before.temperature_c, record.after.temperature_c),
    ):
        if before is not None and after is not None:
            changes.append(f"{before:.0f} -> {after:.0f} {name}")
    if record.after.throttled is not None:
        changes.append(f"throttled={record.after.throttled:#x}")
    return [", ".join(changes)] if changes else []


def _table(records: Sequence[ModelRecord]) -> list[str]:
    """The heading, a rule and one row per model."""
    heads = ["MB", "median ms", "p90", "p99", "FPS"]
    with_accuracy = any(record.accuracy for record in records)
    if with_accuracy:
        heads += ["RMSE", "si-RMSE", "delta_1", "score"]
    cells = [_cells(record, with_accuracy) for record in records]
    widths = [max(len(row[i]) for row in [heads, *cells]) for i in range(len(heads))]
    left = min(
        max(len("model"), *(len(record.file) for record in records)),
        WIDTH - sum(widths) - len(widths),
    )

    def line(name: str, row: Sequence[str]) -> str:
        columns = [value.rjust(width) for value, width in zip(row, widths)]
        return " ".join([_shorten(name, left).ljust(left), *columns])

    header = line("model", heads)
    rows = [line(record.file, row) for record, row in zip(records, cells)]
    return [header, "-" * len(header), *rows]


def _cells(record: ModelRecord, with_accuracy: bool) -> list[str]:
    timed = record.invoke.statistics
    times = [_figure(value) for value in (timed.median, timed.p90, timed.p99)]
    cells = [f"{record.bytes / 1e6:.1f}", *times, _figure(1000 / max(timed.median, 1e-6))]
    if with_accuracy and record.accuracy is not None:
        mean = record.accuracy.mean
        cells += [f"{mean.rmse:.3f}", f"{mean.si_rmse:.4f}", f"{mean.delta_1:.4f}"]
        cells.append(_figure(record.accuracy.score))
    elif with_accuracy:
        cells += ["-"] * 4
    return cells


def _footnotes(records: Sequence[ModelRecord]) -> list[str]:
    notes: list[str] = []
    for record in records:
        if record.accuracy is not None and (note := _accuracy_note(record.accuracy)) not in notes:
            notes.append(note)
    for code, advice in ADVICE.items():
        names = [record.file for record in records if code in record.warnings]
        if names:
            which = "all models" if len(names) == len(records) > 1 else ", ".join(names)
            notes.append(f"{code}: {advice} ({which})")
    return [line for note in notes for line in ["", *_wrap(note, "")]]


def _accuracy_note(accuracy: Accuracy) -> str:
    align = {"none": "no alignment"}.get(accuracy.align, f"{accuracy.align} alignment")
    note = (
        f"accuracy: mean over {len(accuracy.images)} images of {accuracy.data}, {align}; RMSE in m"
    )
    if accuracy.left_out:
        names = ", ".join(accuracy.left_out)
        note += f"; left out, as no pixel of their depth is known: {names}"
    return note


def _figure(value: float) -> str:
    """About three figures, never in scientific notation."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def _shorten(text: str, width: int) -> str:
    """Leaves out the middle: file names differ at their ends."""
    if len(text) <= width:
        return text
    tail = (width - 2) * 2 // 3
    return f"{text[: width - 2 - tail]}..{text[-tail:]}"


def _wrap(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent + "  ")
