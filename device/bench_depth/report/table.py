"""The printed report: at most 80 columns, plain text unless it goes to a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

from bench_depth.accuracy.bands import Band
from bench_depth.core.screen import counted, printable
from bench_depth.report.accuracy_wording import (
    BAND_HEADS,
    BAND_NOTE,
    accuracy_notes,
    band_rows,
    sharpness_summary,
)
from bench_depth.report.wording import (
    KIND_HEADS,
    RATE_NOTE,
    STAGE_HEADS,
    TOTAL_NOTE,
    board_name,
    cpu_facts,
    figure,
    kind_rows,
    notices,
    op_rows,
    predicted_notes,
    profile_views,
    runtime_text,
    stage_rows,
    summary,
    threads_text,
    turns_text,
)
from bench_depth.results.records import ModelRecord, Results, labels
from bench_depth.timing.measure import Timing
from bench_depth.timing.profiling import Profile

WIDTH = 80
_BOLD, _YELLOW, _PLAIN = "\033[1m", "\033[33m", "\033[0m"
_LABEL = 9
_MOST_KINDS, _MOST_OPS = 8, 10
Paint = Callable[[str, str], str]


def render(results: Results, terminal: bool = False) -> str:
    """The whole report.

    Args:
        results: The results to print.
        terminal: Whether the text may hold terminal codes (bold headings, coloured warnings).

    Returns:
        Lines of at most 80 columns (terminal codes not counted), each ended.
    """
    paint: Paint = _paint if terminal else _plain
    lines = _context_lines(results)
    for record in results.models:
        lines += ["", *_model_lines(record, results, paint)]
    if len(results.models) > 1 or any(record.accuracy for record in results.models):
        table = _layout(*summary(results))
        ruled = [following.startswith("---") for following in [*table[1:], ""]]
        lines += ["", *(paint(row, _BOLD) if head else row for row, head in zip(table, ruled))]
    heads, rows = sharpness_summary(results)
    if rows:
        head, *rest = _layout(heads, rows)
        lines += ["", paint(head, _BOLD), *rest]
    lines += _notes(results, paint)
    return "\n".join(lines) + "\n"


def _context_lines(results: Results) -> list[str]:
    context = results.context
    board = context.board
    parts = [board_name(board), *cpu_facts(board)]
    if context.affinity is not None:
        parts.append(f"on cores {','.join(map(str, context.affinity))}")
    if results.models:
        parts += _health(results)
    system = f"{context.program}, Python {context.python}, {board.architecture}, {board.system}"
    return [*_labelled("system", system), *_labelled("board", ", ".join(parts))]


def _health(results: Results) -> list[str]:
    """Clock and temperature before the first model and after the last."""
    before, after = results.models[0].before, results.models[-1].after
    parts = []
    for unit, first, last in (
        ("MHz", before.clock_mhz, after.clock_mhz),
        ("C", before.temperature_c, after.temperature_c),
    ):
        if first is not None and last is not None:
            parts.append(f"{first:.0f} -> {last:.0f} {unit}")
    if after.throttled is not None:
        parts.append(f"throttled={after.throttled:#x}")
    return parts


def _model_lines(record: ModelRecord, results: Results, paint: Paint) -> list[str]:
    size = f"{record.bytes / 1e6:.2f} MB, sha256 {record.sha256[:12]}"
    runtime = f"{runtime_text(record)}, {threads_text(record, results.context)}"
    timed = record.invoke.statistics
    memory = (
        f"{counted(timed.runs, 'run')}; load {figure(record.load_ms)} ms, first run "
        f"{figure(record.first_ms)} ms; peak memory {record.peak_rss_bytes / 1e6:.0f} MB"
    )
    name, *more = _labelled("model", record.file)
    lines = [paint(name, _BOLD), *(paint(line, _BOLD) for line in more)]
    lines += _labelled("", f"{size}, {record.input} -> {record.output}")
    lines += _labelled("runtime", runtime)
    lines += [*_stages(record, paint), *_wrap(memory)]
    if record.sustained is not None:
        lines += _wrap(_sustained(record))
    if record.profile is not None:
        lines += _profile(record.profile, paint)
    if record.accuracy is not None and record.accuracy.bands:
        lines += ["", *_bands(record.accuracy.bands, paint)]
    return lines


def _profile(profile: Profile, paint: Paint) -> list[str]:
    lines = []
    for text, view in profile_views(profile):
        header, *rows = _layout(KIND_HEADS, kind_rows(view), rule=False)
        lines += [*_labelled("ops", text), paint(header, _BOLD), *rows[:_MOST_KINDS]]
        if len(rows) > _MOST_KINDS:
            lines.append(f"and {len(rows) - _MOST_KINDS} more kinds")
    header, *rows = _layout(*op_rows(profile, _MOST_OPS), rule=False)
    return [*lines, paint(header, _BOLD), *rows]


def _stages(record: ModelRecord, paint: Paint) -> list[str]:
    rows = [[*row, _rate(record, row[0])] for row in stage_rows(record)]
    header, *rest = _layout([*STAGE_HEADS, "FPS"], rows, rule=False)
    return [paint(header, _BOLD), *rest]


def _rate(record: ModelRecord, stage: str) -> str:
    # Only a run and a whole frame make frames.
    if stage not in ("invoke", "total"):
        return ""
    timing: Timing = getattr(record, stage)
    return figure(1000 / max(timing.statistics.median, 1e-6))


def _sustained(record: ModelRecord) -> str:
    long = record.sustained
    assert long is not None
    text = (
        f"sustained {long.minutes:g} min: {figure(long.first_ms)} ms in the first minute, "
        f"{figure(long.last_ms)} ms in the last ({100 * (long.slowdown - 1):+.1f} %)"
    )
    heat = [point.temperature_c for point in long.curve if point.temperature_c is not None]
    return f"{text}, {heat[0]:.0f} -> {heat[-1]:.0f} C, at most {max(heat):.0f}" if heat else text


def _bands(bands: Sequence[Band], paint: Paint) -> list[str]:
    header, *rest = _layout(BAND_HEADS, band_rows(bands), rule=False)
    return [paint(header, _BOLD), *rest]


def _layout(heads: Sequence[str], rows: Sequence[Sequence[str]], rule: bool = True) -> list[str]:
    """A table within `WIDTH` columns: its first column is shortened, or it is split in two."""
    heads, *rows = ([printable(cell) for cell in row] for row in [heads, *rows])
    widths = [max(len(row[i]) for row in [heads, *rows]) for i in range(len(heads))]
    room = WIDTH - sum(widths[1:]) - len(widths[1:])
    min_width = min(widths[0], 24)
    if room < min_width:
        # Accuracy, the last four columns, goes under the times.
        split = len(heads) - 4
        tops = _layout(heads[:split], [row[:split] for row in rows], rule)
        rest = [[row[0], *row[split:]] for row in rows]
        return [*tops, "", *_layout([heads[0], *heads[split:]], rest, rule)]
    left = min(widths[0], room)

    def line(row: Sequence[str]) -> str:
        columns = [value.rjust(width) for value, width in zip(row[1:], widths[1:])]
        return " ".join([_shorten(row[0], left).ljust(left), *columns]).rstrip()

    lines = [line(row) for row in [heads, *rows]]
    return [lines[0], "-" * max(map(len, lines)), *lines[1:]] if rule else lines


def _notes(results: Results, paint: Paint) -> list[str]:
    notes = accuracy_notes(results)
    if any(record.total is not None for record in results.models):
        notes.insert(0, TOTAL_NOTE)
        notes.insert(0, RATE_NOTE)
    if any(record.comparison for record in results.models):
        how = turns_text(results.context)
        notes.insert(0, f"ratio: time over that of {labels(results)[0]}, measured {how}")
    if any(record.accuracy is not None and record.accuracy.bands for record in results.models):
        notes.append(BAND_NOTE)
    notes += predicted_notes(results)
    lines = [line for note in notes for line in ("", *_wrap(note))]
    for code, advice in notices(results):
        lines += ["", *(paint(line, _YELLOW) for line in _wrap(f"{code}: {advice}"))]
    return lines


def _plain(text: str, code: str) -> str:
    return text


def _paint(text: str, code: str) -> str:
    return f"{code}{text}{_PLAIN}"


def _shorten(text: str, width: int) -> str:
    """Shortens a name in the middle, as file names differ at their ends."""
    if len(text) <= width:
        return text
    tail = (width - 2) * 2 // 3
    return f"{text[: width - 2 - tail]}..{text[-tail:]}"


def _labelled(label: str, text: str) -> list[str]:
    lines = textwrap.wrap(printable(text), WIDTH - _LABEL, break_long_words=True) or [""]
    return [f"{(label if i == 0 else ''):{_LABEL}}{line}" for i, line in enumerate(lines)]


def _wrap(text: str) -> list[str]:
    return textwrap.wrap(printable(text), WIDTH, subsequent_indent="  ")
