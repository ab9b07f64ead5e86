"""The HTML page about a results file: everything that was measured, in one file that loads nothing.

`templates/report.html.j2` has the text and the order; sections without data are left out.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from bench_depth.accuracy.bands import Band
from bench_depth.accuracy.paired import difference_interval
from bench_depth.core.errors import UserError
from bench_depth.core.files import write_bytes
from bench_depth.machine.board import Board
from bench_depth.model.released import Catalogue, released_board
from bench_depth.report import accuracy_wording, wording
from bench_depth.report.fastest import PredictedFile, among_fastest, fastest, predicted_files
from bench_depth.report.html import charts, pictures
from bench_depth.report.html.columns import columns, row, sharpness_columns
from bench_depth.report.html.pictures import Scene
from bench_depth.report.html.plot import SIZES, ModelPoint, accuracy_plot
from bench_depth.report.html.templating import PACKAGE, render_page
from bench_depth.report.wording import figure
from bench_depth.results.records import ModelRecord, Results, labels
from bench_depth.timing.profiling import Profile, by_kind

_MOST_OPS = 20


def write_page(
    results: Results,
    worst: Mapping[int, Sequence[Scene]],
    target: Path,
    *,
    scenes: Sequence[Scene] = (),
    unpredicted: str = "",
    released: Optional[Catalogue] = None,
    command: str = "bench-depth",
) -> None:
    """Writes the page.

    Args:
        results: Results of at least one model; the others are compared with the first.
        worst: The images with the highest errors, by the model's index in the results, see
            `WorstImages.scenes`.
        target: The HTML file.
        scenes: Photos with the depth maps of several models.
        unpredicted: Why no latency on a Raspberry Pi is predicted; empty for nothing said.
        released: Released models whose predicted latency is listed; None for none.
        command: Name of the command that was run, for the advice.

    Raises:
        UserError: There is no model, Jinja2 is not installed, or the file cannot be written.
    """
    page = render(
        results,
        worst,
        scenes=scenes,
        unpredicted=unpredicted,
        released=released,
        command=command,
    )
    write_bytes(target, page.encode())


def render(
    results: Results,
    worst: Mapping[int, Sequence[Scene]],
    *,
    scenes: Sequence[Scene] = (),
    unpredicted: str = "",
    released: Optional[Catalogue] = None,
    command: str = "bench-depth",
) -> str:
    """The page's HTML; see `write_page`."""
    models = results.models
    if not models:
        raise UserError("nothing was measured, so there is nothing to report; name a model file")
    names = wording.short_names(results)
    accuracy = next((r.accuracy for r in models if r.accuracy is not None), None)
    found, sharpness = columns(results), sharpness_columns(results)
    return render_page(
        PACKAGE,
        "report.html.j2",
        title=_title(results),
        context=_context(results),
        found=[(code, [advice]) for code, advice in wording.notices(results, command)],
        highlights=_highlights(models, names, released),
        on_pi="Raspberry Pi" in (results.context.board.model or ""),
        accuracy=accuracy,
        columns=found,
        rows=[row(*pair, found, models) for pair in zip(models, names)],
        sharpness=sharpness,
        sharpness_rows=[row(*pair, sharpness, models) for pair in zip(models, names)],
        notes=accuracy_wording.accuracy_notes(results),
        predictions=_predictions(models, names),
        unpredicted=unpredicted,
        released=None if released is None else _released(released, results.context.board),
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
            _model(*pair, results, worst.get(number, ()), first=number == 0)
            for number, pair in enumerate(zip(models, labels(results)))
        ],
        band_heads=accuracy_wording.BAND_HEADS,
        band_note=accuracy_wording.BAND_NOTE,
        kind_heads=wording.KIND_HEADS,
        stage_heads=wording.STAGE_HEADS,
        total_note=wording.TOTAL_NOTE,
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


def _highlights(
    models: Sequence[ModelRecord], names: Sequence[str], released: Optional[Catalogue]
) -> list[dict[str, str]]:
    named = list(zip(models, names))
    fastest, fastest_name = min(named, key=lambda pair: pair[0].invoke.statistics.median)
    smallest, smallest_name = min(named, key=lambda pair: pair[0].bytes)
    several = len(models) > 1
    per_second = wording.rate(fastest)
    frames = "" if per_second is None else f", {figure(per_second)} frames per second"
    tiles = [
        {
            "what": "Fastest here" if several else "Latency here",
            "value": figure(fastest.invoke.statistics.median),
            "unit": "ms",
            "who": f"{fastest_name}{frames}{' from photo to depth' if frames else ''}",
        },
        {
            "what": "Smallest" if several else "Size",
            "value": f"{smallest.bytes / 1e6:.2f}",
            "unit": "MB",
            "who": smallest_name,
        },
    ]
    predicted = [(record.predicted, name) for record, name in named if record.predicted]
    if predicted:
        best, name = min(predicted, key=lambda pair: pair[0].ms)
        tiles.insert(
            0,
            {
                "what": f"On a {best.board}, predicted",
                "value": figure(best.ms),
                "unit": "ms",
                "who": f"{name}, {figure(best.low_ms)} to {figure(best.high_ms)} ms, from "
                f"{best.method}{_faster(models, released)}",
            },
        )
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
        entry = {"name": name, "file": file, "ms": figure(each.ms)}
        entry.update(low=figure(each.low_ms), high=figure(each.high_ms))
        # Percent of the highest end, for the bar.
        entry.update(left=f"{100 * each.low_ms / end:.1f}", mark=f"{100 * each.ms / end:.1f}")
        entry["width"] = f"{100 * (each.high_ms - each.low_ms) / end:.1f}"
        group["rows"].append(entry)
    return list(machines.values())


def _faster(models: Sequence[ModelRecord], released: Optional[Catalogue]) -> str:
    """The fastest released model, to be named beside the page's own; empty where it is that one."""
    fast = None if released is None else released.models[0]
    if fast is None or any(r.contract and r.contract.name == fast.name for r in models):
        return ""
    band = fast.files[0].pi4_ms
    return "" if band is None else f"; {fast.name}, the fastest one, {figure(band[0])} ms"


def _released(catalogue: Catalogue, board: Board) -> dict[str, Any]:
    """The released files in every runtime on every board, and the fastest on this board."""
    files, boards = predicted_files(catalogue), catalogue.boards
    best = {board: among_fastest(files, board) for board in boards}

    def cell(each: PredictedFile, board: str) -> dict[str, Any]:
        if board not in each.ms:
            return {"ms": "–", "band": "", "best": False}
        ms, low, high = each.ms[board]
        band = f"{figure(low)} – {figure(high)}"
        return {"ms": figure(ms), "band": band, "best": each in best[board]}

    return {
        "boards": list(boards.values()),
        "rows": [
            {
                "file": each.file.file,
                "runtime": each.runtime,
                "rmse": f"{each.file.rmse:.3f}",
                "cells": [cell(each, board) for board in boards],
            }
            for each in files
        ],
        "fastest": fastest(catalogue, released_board(board)),
        "accuracy": catalogue.accuracy,
    }


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
            _error_ends(record, models[0]),
        )
        for record, name in zip(models, names)
        if record.accuracy is not None
    ]
    if len(points) < 2:
        return {}
    words = [f"{p.label} {figure(p.median_ms)} ms, si-RMSE {p.si_rmse:.4f}" for p in points]
    return {
        "words": "; ".join(words),
        "svg": [accuracy_plot(points, *size) for size in SIZES],
        "intervals": any(point.si_rmse_ends for point in points),
    }


def _error_ends(record: ModelRecord, first: ModelRecord) -> Optional[tuple[float, float]]:
    """The si-RMSE of the first model plus the interval of the difference to it."""
    if record is first or record.accuracy is None or first.accuracy is None:
        return None
    ends = difference_interval(record.accuracy, first.accuracy, "si_rmse")
    base = first.accuracy.mean.si_rmse
    return None if ends is None else (base + ends[0], base + ends[1])


def _intervals(results: Results) -> list[str]:
    comparisons = [record.comparison for record in results.models]
    if not any(comparisons):
        return []
    return [charts.intervals(labels(results), comparisons, width) for width in charts.WIDTHS]


def _model(
    record: ModelRecord, name: str, results: Results, worst: Sequence[Scene], *, first: bool
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
        "total": record.total,
        "timeline": [charts.timeline(record.invoke, width) for width in charts.WIDTHS],
        "sustained": sustained
        and {
            "change": f"{100 * (sustained.slowdown - 1):+.1f}",
            "svg": [charts.curve(sustained, width) for width in charts.WIDTHS],
        },
        "profile": record.profile and _profile(record.profile),
        "bands": _bands(accuracy.bands, results) if accuracy and accuracy.bands else None,
        # Where measuring was interrupted there may be scenes of a part of the images.
        "worst": worst if accuracy else (),
        "worst_title": _worst_title(len(worst), len(results.models) if first else 1, first),
    }


def _worst_title(count: int, models: int, first: bool) -> str:
    which = f"The {count} images" if first else f"{count} more of the images"
    beside = ", by every model" if models > 1 else ""
    return f"{which} with the highest si-RMSE{beside}"


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
    pictures = [charts.distances(bands, top, width) for width in charts.WIDTHS]
    return {"svg": pictures, "rows": accuracy_wording.band_rows(bands)}
