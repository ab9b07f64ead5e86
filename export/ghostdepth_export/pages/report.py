"""The demo's page: one HTML file with the table, the plot and the pictures in it."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_depth import __version__
from bench_depth.core.errors import UserError
from bench_depth.core.files import write_bytes
from bench_depth.results.advice import ADVICE
from bench_depth.results.records import ModelRecord, Results
from ghostdepth_export.pages import pictures
from ghostdepth_export.pages.plot import Point, accuracy_plot
from ghostdepth_export.pages.scenes import Scene, accuracy_of, format_name, scene_for_page
from ghostdepth_export.pages.templating import template

# Inches; one for a screen, one for a phone.
_PLOT_SIZES = ((10.5, 4.6), (4.7, 4.7))


@dataclass(frozen=True)
class Column:
    """One column of the table.

    Attributes:
        title: Its heading.
        value: The figure of a row, or None where it has none.
        form: How the figure is written, for `format`.
        best: `min` or `max`, whichever is better; None where there is no better.
        unit: Shown under the title.
    """

    title: str
    value: Callable[[ModelRecord], float | None]
    form: str
    best: Callable[[Sequence[float]], float] | None
    unit: str = ""


def write_report(
    results: Results, scenes: Sequence[Scene], target: Path, unpredicted: str = ""
) -> None:
    """Writes the page.

    Args:
        results: Of at least one model, each with accuracy; the first is what the others are
            compared with.
        scenes: What is shown under the table; may be empty.
        target: The HTML file.
        unpredicted: Why no times on a Raspberry Pi are predicted, for a page without.

    Raises:
        UserError: A model was measured without accuracy, there is none, or the file cannot be
            written.
    """
    write_bytes(target, render(results, scenes, unpredicted).encode())


def render(results: Results, scenes: Sequence[Scene], unpredicted: str = "") -> str:
    """The page's HTML; see `write_report`."""
    models = results.models
    if not models:
        raise UserError("nothing was measured, so there is nothing to report; name a model file")
    accuracies = [accuracy_of(record) for record in models]
    points = [_point(record) for record in models]
    return template("report.html.j2").render(
        title=_title(models[0]),
        images=len(accuracies[0].images),
        alignment=accuracies[0].align,
        context=_context(results),
        program=f"ghostdepth {__version__} with {results.context.program}",
        on_pi="Raspberry Pi" in (results.context.board.model or ""),
        highlights=_highlights(models),
        columns=(columns := _columns(models[0])),
        rows=[_row(record, columns, models) for record in models],
        baseline=models[0].file,
        notes=_notes(models),
        predicted=_predicted(models),
        unpredicted=unpredicted,
        plots=[accuracy_plot(points, *size) for size in _PLOT_SIZES],
        plot_summary=_plot_summary(models),
        scenes=[scene_for_page(scene, models) for scene in scenes],
        depth_gradient=pictures.gradient(pictures.DEPTH_COLOURS),
        error_gradient=pictures.gradient(pictures.ERROR_COLOURS),
        error_end=pictures.ERROR_END,
    )


def _title(record: ModelRecord) -> str:
    title = "depth from one photo"
    return f"{record.contract.name}: {title}" if record.contract else title.capitalize()


def _columns(baseline: ModelRecord) -> tuple[Column, ...]:
    base = accuracy_of(baseline).mean.si_rmse
    variant = baseline.contract.variant if baseline.contract else "the first"

    def change(record: ModelRecord) -> float | None:
        own = accuracy_of(record).mean.si_rmse
        return None if record is baseline or not base else 100 * (own / base - 1)

    return (
        Column("size", lambda r: r.bytes / 1e6, ".2f", min, "MB"),
        Column("median", lambda r: r.invoke.statistics.median, ".1f", min, "ms"),
        Column("p90", lambda r: r.invoke.statistics.p90, ".1f", min, "ms"),
        Column("p99", lambda r: r.invoke.statistics.p99, ".1f", min, "ms"),
        Column("rate", lambda r: 1000 / r.invoke.statistics.median, ".1f", max, "FPS"),
        Column("RMSE", lambda r: accuracy_of(r).mean.rmse, ".3f", min, "m"),
        Column("si-RMSE", lambda r: accuracy_of(r).mean.si_rmse, ".4f", min),
        Column("δ₁", lambda r: accuracy_of(r).mean.delta_1, ".3f", max),
        Column("score", lambda r: accuracy_of(r).score, ".0f", max),
        Column("si-RMSE", change, "+z.2f", None, f"% vs {variant}"),
    )


def _row(
    record: ModelRecord, columns: Sequence[Column], models: Sequence[ModelRecord]
) -> dict[str, Any]:
    runtime = record.runtime
    cells = []
    for column in columns:
        text = _text(column, record)
        # Two that are written alike are equally good: digits that are not shown do not count.
        is_best = column.best is not None and text == _best(column, models)
        cells.append({"text": text, "best": is_best and len(models) > 1})
    return {
        "file": record.file,
        "format": format_name(record),
        "runtime": f"{runtime.name} {runtime.version}",
        "xnnpack": {True: "XNNPACK on", False: "XNNPACK off", None: ""}[runtime.xnnpack],
        "cells": cells,
    }


def _text(column: Column, record: ModelRecord) -> str:
    value = column.value(record)
    return "–" if value is None else format(value, column.form).replace("-", "−")


def _best(column: Column, models: Sequence[ModelRecord]) -> str:
    assert column.best is not None
    values = [(column.value(record), _text(column, record)) for record in models]
    best = column.best([value for value, _ in values if value is not None])
    return next(text for value, text in values if value == best)


def _context(results: Results) -> list[tuple[str, str]]:
    context = results.context
    board = context.board
    runtimes = dict.fromkeys(f"{r.runtime.name} {r.runtime.version}" for r in results.models)
    created = datetime.datetime.fromisoformat(context.created)
    return [
        ("Machine", f"{board.model or 'a computer'}, {board.architecture}, {board.system}"),
        ("CPU", f"{board.cpu or 'unknown'}, {board.cores} cores"),
        ("Runtimes", ", ".join(runtimes)),
        ("Threads", str(context.threads)),
        ("Runs", f"at least {context.min_runs} and {context.min_time:g} s a file"),
        ("Date", f"{created:%d %B %Y, %H:%M} UTC"),
    ]


def _highlights(models: Sequence[ModelRecord]) -> list[dict[str, str]]:
    fastest = min(models, key=lambda r: r.invoke.statistics.median)
    smallest = min(models, key=lambda r: r.bytes)
    closest = min(models, key=lambda r: accuracy_of(r).mean.si_rmse)
    median = fastest.invoke.statistics.median
    return [
        {
            "what": "Fastest here",
            "value": f"{median:.1f}",
            "unit": "ms",
            "who": f"{format_name(fastest)}, {1000 / median:.0f} photos a second",
        },
        {
            "what": "Smallest",
            "value": f"{smallest.bytes / 1e6:.2f}",
            "unit": "MB",
            "who": format_name(smallest),
        },
        {
            "what": "Lowest error",
            "value": f"{accuracy_of(closest).mean.si_rmse:.4f}",
            "unit": "si-RMSE",
            "who": f"{format_name(closest)}, {accuracy_of(closest).mean.delta_1:.0%} of pixels "
            "within a quarter",
        },
    ]


def _predicted(models: Sequence[ModelRecord]) -> list[dict[str, Any]]:
    """The rows of the table of predicted times; empty where there are none."""
    found = [(record, record.predicted) for record in models if record.predicted is not None]
    if not found:
        return []
    end = max(predicted.high_ms for _, predicted in found)
    return [
        {
            "format": format_name(record),
            "file": record.file,
            "ms": f"{predicted.ms:.1f}",
            "low": f"{predicted.low_ms:.1f}",
            "high": f"{predicted.high_ms:.1f}",
            "of": f"{predicted.board}, {predicted.runtime}, {predicted.threads} threads, "
            f"{predicted.clock_mhz:g} MHz",
            "method": predicted.method,
            # Percent of the widest band, for the bar.
            "left": f"{100 * predicted.low_ms / end:.1f}",
            "width": f"{100 * (predicted.high_ms - predicted.low_ms) / end:.1f}",
            "mark": f"{100 * predicted.ms / end:.1f}",
        }
        for record, predicted in found
    ]


def _notes(models: Sequence[ModelRecord]) -> list[str]:
    notes = []
    for code, advice in ADVICE.items():
        names = [format_name(record) for record in models if code in record.warnings]
        if names:
            notes.append(f"{', '.join(names)}: {code}: {advice}.")
    return notes


def _point(record: ModelRecord) -> Point:
    timed = record.invoke.statistics
    error = accuracy_of(record).mean.si_rmse
    suffix = Path(record.file).suffix
    return Point(format_name(record), suffix, timed.median, timed.p90, error, record.bytes / 1e6)


def _plot_summary(models: Sequence[ModelRecord]) -> str:
    points = [_point(record) for record in models]
    return "; ".join(f"{p.label} {p.median_ms:.1f} ms, si-RMSE {p.si_rmse:.4f}" for p in points)
