"""The HTML page about a results file: everything that was measured, in one file that loads nothing.

`templates/report.html.j2` has the text and the order; sections without data are left out.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from bench_depth.accuracy.bands import Band
from bench_depth.core.errors import UserError
from bench_depth.core.files import write_bytes
from bench_depth.report import wording
from bench_depth.report.html import charts, pictures
from bench_depth.report.html.pictures import Scene
from bench_depth.report.html.plot import SIZES, ModelPoint, accuracy_plot
from bench_depth.report.html.templating import PACKAGE, render_page
from bench_depth.report.wording import figure
from bench_depth.results.records import ModelRecord, Results, labels
from bench_depth.timing.profiling import Profile, by_kind

_MOST_OPS = 20


@dataclass(frozen=True)
class _Column:
    """A column of the table of models.

    Attributes:
        title: Its heading.
        unit: Shown under the title.
        text: The cell of a record.
        value: The figure of a record, None where it has none.
        best: `min` or `max`, whichever is better; None where there is no better.
        small: Shown under the text of a cell.
    """

    title: str
    unit: str
    text: Callable[[ModelRecord], str]
    value: Callable[[ModelRecord], Optional[float]] = lambda record: None
    best: Optional[Callable[[Sequence[float]], float]] = None
    small: Callable[[ModelRecord], str] = lambda record: ""


def write_page(
    results: Results,
    worst: Mapping[int, Sequence[Scene]],
    target: Path,
    *,
    scenes: Sequence[Scene] = (),
    unpredicted: str = "",
) -> None:
    """Writes the page.

    Args:
        results: At least one model; the first is the one that the others are compared with.
        worst: The images with the highest errors, by the model's index in the results.
        target: The HTML file.
        scenes: Photos with the depth maps of several models.
        unpredicted: Why no latency on a Raspberry Pi is predicted; empty for nothing said.

    Raises:
        UserError: There is no model, Jinja2 is not installed, or the file cannot be written.
    """
    page = render(results, worst, scenes=scenes, unpredicted=unpredicted)
    write_bytes(target, page.encode())


def render(
    results: Results,
    worst: Mapping[int, Sequence[Scene]],
    *,
    scenes: Sequence[Scene] = (),
    unpredicted: str = "",
) -> str:
    """The page's HTML; see `write_page`."""
    models = results.models
    if not models:
        raise UserError("nothing was measured, so there is nothing to report; name a model file")
    names = wording.short_names(results)
    accuracy = next((r.accuracy for r in models if r.accuracy is not None), None)
    columns = _columns(results)
    return render_page(
        PACKAGE,
        "report.html.j2",
        title=_title(results),
        context=_context(results),
        notices=wording.notices(results),
        highlights=_highlights(models, names),
        on_pi="Raspberry Pi" in (results.context.board.model or ""),
        accuracy=accuracy,
        columns=columns,
        rows=[_row(*pair, columns, models) for pair in zip(models, names)],
        notes=wording.accuracy_notes(results),
        predictions=_predictions(models, names),
        unpredicted=unpredicted,
        plots=_plots(models, names),
        intervals=_intervals(results),
        reference=labels(results)[0],
        turns=wording.turns_text(results.context),
        scenes=scenes,
        depth_gradient=pictures.gradient(pictures.depth_colours()),
        error_gradient=pictures.gradient(pictures.error_colours()),
        error_end=pictures.ERROR_END,
        worst_error_end=pictures.WORST_ERROR_END,
        models=[
            _model(*pair, results, worst.get(number, ()))
            for number, pair in enumerate(zip(models, labels(results)))
        ],
        band_heads=wording.BAND_HEADS,
        band_note=wording.BAND_NOTE,
        kind_heads=wording.KIND_HEADS,
        stage_heads=wording.STAGE_HEADS,
        program=results.context.program,
    )


def _title(results: Results) -> str:
    names = {r.contract.name if r.contract else None for r in results.models}
    name = names.pop()
    if len(results.models) == 1:
        return labels(results)[0]
    same = name is not None and not names
    return f"{name}: depth from one photo" if same else f"{len(results.models)} models compared"


def _context(results: Results) -> dict[str, str]:
    context = results.context
    board = context.board
    before, after = results.models[0].before, results.models[-1].after
    heat = ""
    if before.temperature_c is not None and after.temperature_c is not None:
        heat = f"{before.temperature_c:.0f} -> {after.temperature_c:.0f} °C"
    created = datetime.datetime.fromisoformat(context.created)
    cores = "" if context.affinity is None else ",".join(map(str, context.affinity))
    return {
        "Board": wording.board_name(board),
        "CPU": ", ".join(wording.cpu_facts(board)),
        "System": f"{board.system}, {board.architecture}",
        "Runtimes": wording.runtimes_text(results),
        "Threads": str(context.threads),
        "Cores": cores,
        "Runs": f"at least {context.min_runs} and {context.min_time:g} s per model",
        "Temperature": heat,
        "Measured": f"{created:%d %B %Y, %H:%M} UTC with {context.program}, "
        f"Python {context.python}",
    }


def _columns(results: Results) -> list[_Column]:
    def timed(name: str) -> Callable[[ModelRecord], float]:
        return lambda record: float(getattr(record.invoke.statistics, name))

    columns = [_number("size", "MB", lambda r: r.bytes / 1e6, "{:.2f}".format, min)]
    columns += [
        _number(name, "ms", timed(name), figure, min) for name in ("median", "p90", "p95", "p99")
    ]
    columns.append(_number("rate", "FPS", wording.rate, figure, max))
    if any(record.comparison for record in results.models):
        columns.append(
            _Column(
                "ratio",
                "95 % interval",
                lambda r: wording.ratio_cells(r.comparison)[0],
                small=lambda r: wording.ratio_cells(r.comparison)[1],
            )
        )
    if any(record.accuracy for record in results.models):
        columns += _accuracy_columns(results.models[0])
    return columns


def _accuracy_columns(first: ModelRecord) -> list[_Column]:
    def mean(name: str) -> Callable[[ModelRecord], Optional[float]]:
        return lambda r: None if r.accuracy is None else getattr(r.accuracy.mean, name)

    def change(record: ModelRecord) -> Optional[float]:
        own, base = mean("si_rmse")(record), mean("si_rmse")(first)
        return None if record is first or not base or own is None else 100 * (own / base - 1)

    def points(record: ModelRecord) -> Optional[float]:
        return None if record.accuracy is None else record.accuracy.score

    variant = first.contract.variant if first.contract else "the first"
    return [
        _number("RMSE", "m", mean("rmse"), "{:.3f}".format, min),
        _number("si-RMSE", "", mean("si_rmse"), "{:.4f}".format, min),
        _number("si-RMSE", f"% vs {variant}", change, _signed),
        _number("δ₁", "", mean("delta_1"), "{:.4f}".format, max),
        _number("score", "", points, figure, max),
    ]


def _number(
    title: str,
    unit: str,
    value: Callable[[ModelRecord], Optional[float]],
    form: Callable[[float], str],
    best: Optional[Callable[[Sequence[float]], float]] = None,
) -> _Column:
    def text(record: ModelRecord) -> str:
        found = value(record)
        return "–" if found is None else form(found)

    return _Column(title, unit, text, value, best)


def _signed(percent: float) -> str:
    # Adding 0 takes the sign off a change that rounds to nothing.
    return f"{round(percent, 2) + 0.0:+.2f}".replace("-", "−")


def _row(
    record: ModelRecord, name: str, columns: Sequence[_Column], models: Sequence[ModelRecord]
) -> dict[str, Any]:
    # Two that are written alike are equally good: digits that are not shown do not count.
    cells = [
        {
            "text": column.text(record),
            "small": column.small(record),
            "best": column.text(record) == _best(column, models),
        }
        for column in columns
    ]
    runtime = wording.runtime_text(record).partition(", ")
    return {"name": name, "file": record.file, "cells": cells, "runtime": runtime}


def _best(column: _Column, models: Sequence[ModelRecord]) -> Optional[str]:
    """The best figure of a column as it is written; None where nothing is best."""
    values = {column.value(record): column.text(record) for record in models}
    known = [value for value in values if value is not None]
    if column.best is None or len(models) == 1 or not known:
        return None
    return values[column.best(known)]


def _highlights(models: Sequence[ModelRecord], names: Sequence[str]) -> list[dict[str, str]]:
    named = list(zip(models, names))
    fastest, fastest_name = min(named, key=lambda pair: pair[0].invoke.statistics.median)
    smallest, smallest_name = min(named, key=lambda pair: pair[0].bytes)
    several = len(models) > 1
    tiles = [
        {
            "what": "Fastest here" if several else "Latency here",
            "value": figure(fastest.invoke.statistics.median),
            "unit": "ms",
            "who": f"{fastest_name}, {figure(wording.rate(fastest))} images per second",
        },
        {
            "what": "Smallest" if several else "Size",
            "value": f"{smallest.bytes / 1e6:.2f}",
            "unit": "MB",
            "who": smallest_name,
        },
    ]
    measured = [(r.accuracy.mean, name) for r, name in named if r.accuracy is not None]
    if measured:
        mean, name = min(measured, key=lambda pair: pair[0].si_rmse)
        tiles.append(
            {
                "what": "Lowest error" if several else "Error",
                "value": f"{mean.si_rmse:.4f}",
                "unit": "si-RMSE",
                "who": f"{name}, {mean.delta_1:.0%} of pixels within a factor of 1.25",
            }
        )
    return tiles


def _predictions(models: Sequence[ModelRecord], names: Sequence[str]) -> list[dict[str, Any]]:
    """The predicted latencies, by machine."""
    found = [(name, r.file, r.predicted) for r, name in zip(models, names) if r.predicted]
    end = max((each.high_ms for _, _, each in found), default=1.0)
    machines: dict[str, dict[str, Any]] = {}
    for name, file, each in found:
        machine = wording.machine_text(each)
        group = machines.setdefault(machine, {"machine": machine, "rows": []})
        row = {"name": name, "file": file, "ms": figure(each.ms)}
        row.update(low=figure(each.low_ms), high=figure(each.high_ms))
        # Percent of the highest end, for the bar.
        row.update(left=f"{100 * each.low_ms / end:.1f}", mark=f"{100 * each.ms / end:.1f}")
        row["width"] = f"{100 * (each.high_ms - each.low_ms) / end:.1f}"
        group["rows"].append(row)
    return list(machines.values())


def _plots(models: Sequence[ModelRecord], names: Sequence[str]) -> dict[str, Any]:
    """The accuracy-latency plot in each size, and in words; empty for fewer than two models."""
    points = [
        ModelPoint(
            name,
            Path(record.file).suffix,
            record.invoke.statistics.median,
            record.invoke.statistics.p90,
            record.accuracy.mean.si_rmse,
            record.bytes / 1e6,
        )
        for record, name in zip(models, names)
        if record.accuracy is not None
    ]
    if len(points) < 2:
        return {}
    words = [f"{p.label} {figure(p.median_ms)} ms, si-RMSE {p.si_rmse:.4f}" for p in points]
    return {"words": "; ".join(words), "svg": [accuracy_plot(points, *size) for size in SIZES]}


def _intervals(results: Results) -> str:
    comparisons = [record.comparison for record in results.models]
    return charts.intervals(labels(results), comparisons) if any(comparisons) else ""


def _model(
    record: ModelRecord, name: str, results: Results, worst: Sequence[Scene]
) -> dict[str, Any]:
    facts = {
        "Runtime": f"{wording.runtime_text(record)}, "
        f"{wording.threads_text(record, results.context)}",
        "File": f"{record.file}, {record.bytes / 1e6:.2f} MB, sha256 {record.sha256}",
        "Input, output": f"{record.input} -> {record.output}",
        "Load": f"{figure(record.load_ms)} ms, first run {figure(record.first_ms)} ms",
        "Peak memory": f"{record.peak_rss_bytes / 1e6:.0f} MB",
    }
    sustained = record.sustained
    accuracy = record.accuracy
    return {
        "name": name,
        "facts": facts,
        "stages": wording.stage_rows(record),
        "timeline": charts.timeline(record.invoke),
        "sustained": sustained
        and {"change": f"{100 * (sustained.slowdown - 1):+.1f}", "svg": charts.curve(sustained)},
        "profile": record.profile and _profile(record.profile),
        "bands": _bands(accuracy.bands, results) if accuracy and accuracy.bands else None,
        # Where measuring was interrupted there may be scenes of a part of the images.
        "worst": worst if accuracy else (),
    }


def _profile(profile: Profile) -> dict[str, Any]:
    views = []
    for text, view in wording.profile_views(profile):
        longest = max(group.share for group in by_kind(view)) or 1.0
        bars = [f"{100 * group.share / longest:.1f}" for group in by_kind(view)]
        views.append({"text": text, "rows": list(zip(wording.kind_rows(view), bars))})
    heads, rows = wording.op_rows(profile, _MOST_OPS)
    return {"views": views, "op_heads": heads, "op_rows": rows}


def _bands(bands: Sequence[Band], results: Results) -> dict[str, Any]:
    every = [band for r in results.models if r.accuracy is not None for band in r.accuracy.bands]
    top = max(band.rmse for band in every)
    return {"svg": charts.distances(bands, top), "rows": wording.band_rows(bands)}
