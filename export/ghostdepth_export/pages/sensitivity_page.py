"""The sensitivity report: a page with a plot and a table, and both as CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench_depth.core.files import write_bytes
from bench_depth.report.html import svg
from bench_depth.report.html.templating import render_page
from ghostdepth_export.pi4.budget.layer_times import REST
from ghostdepth_train.models.summary import LayerCost
from ghostdepth_train.pruning.sensitivity import Sensitivity

# CSS class of the bars of each kind of saving that is drawn.
_BARS = {"macs": "series-1", "time": "series-2"}
_TITLES = {"macs": "MACs", "parameters": "parameters", "time": "time, this machine"}
_PREDICTED = "time, predicted"
# Pixels: the two panels, and a row of the plot.
_WIDTH, _TOP, _BOTTOM, _ROW = 1120, 8, 44, 22
_LEFT, _RIGHT = (200.0, 640.0), (680.0, 1105.0)


@dataclass(frozen=True)
class Latency:
    """The latency of the whole network; widths save fractions of it.

    Attributes:
        ms: Milliseconds.
        predicted: File, threads, runtime and board that it is predicted for, in words; None if it
            is measured on this machine, for the fp32 file and one thread.
    """

    ms: float
    predicted: str | None


def write_tables(
    out: Path,
    layers: Sequence[LayerCost],
    times: Mapping[str, float],
    whole: float,
    rows: Sequence[Sensitivity],
) -> None:
    """Writes `layers.csv`, which pruning takes as its table of costs, and `widths.csv`.

    Args:
        out: Folder; made where missing.
        layers: Layers of the network.
        times: Microseconds of each layer by name, and of the rest of the network.
        whole: si-RMSE of the unpruned network.
        rows: The network's widths.
    """
    head = ["layer", "kind", "output", "parameters", "macs", "time_us"]
    table: list[list[Any]] = [
        [r.name, r.kind, "x".join(map(str, r.shape)), r.parameters, r.macs, f"{times[r.name]:.3f}"]
        for r in layers
        if r.name in times  # Products of attention are in the rest.
    ]
    table.append([REST, "", "", 0, 0, f"{times[REST]:.3f}"])
    write_bytes(out / "layers.csv", _csv(head, table))
    saved, errors = list(rows[0].saved), list(rows[0].si_rmse)
    head = ["width", "channels", "si_rmse"]
    head += [f"saved_{name}" for name in saved] + [f"si_rmse_{fraction:g}" for fraction in errors]
    table = [
        [row.name, row.width, f"{whole:.5f}"]
        + [f"{row.saved[name]:.5f}" for name in saved]
        + [f"{row.si_rmse[fraction]:.5f}" for fraction in errors]
        for row in rows
    ]
    write_bytes(out / "widths.csv", _csv(head, table))


def write_page(
    target: Path,
    name: str,
    whole: float,
    rows: Sequence[Sensitivity],
    images: int,
    importance: str,
    latency: Latency,
) -> None:
    """Writes the page.

    Args:
        target: The HTML file.
        name: Name of the checkpoint.
        whole: si-RMSE of the unpruned network.
        rows: The network's widths.
        images: Number of images that si-RMSE was measured on.
        importance: Criterion by which channels were chosen.
        latency: Latency of the whole network.
    """
    titles = {**_TITLES, "time": _PREDICTED} if latency.predicted else _TITLES
    page = render_page(
        "ghostdepth_export.pages",
        "sensitivity.html.j2",
        name=name,
        whole=whole,
        rows=rows,
        titles=titles,
        latency=latency,
        images=images,
        importance=importance,
        legend=_legend(rows, titles),
        plot=_plot(whole, rows),
    )
    write_bytes(target, page.encode())


def _legend(rows: Sequence[Sensitivity], titles: Mapping[str, str]) -> list[tuple[str, str]]:
    bars = [(titles[kind], colour) for kind, colour in _BARS.items() if kind in rows[0].saved]
    dots = [(f"{removed:.0%} pruned", f"dot-{i}") for i, removed in enumerate(rows[0].si_rmse)]
    return [*bars, *dots]


def _plot(whole: float, rows: Sequence[Sensitivity]) -> str:
    """Two panels side by side that share their rows: what is saved, and si-RMSE."""
    height = _TOP + _ROW * len(rows) + _BOTTOM
    parts = []
    for number, row in enumerate(rows):
        y = _middle(number) + 4
        parts.append(svg.text(_LEFT[0] - 8, y, row.name.removeprefix("encoder."), "name end"))
    most = max(100 * value for row in rows for kind, value in row.saved.items() if kind in _BARS)
    parts += _savings(
        svg.ChartAxis(min(0.0, *_percents(rows)), max(most, 1.0) * 1.05, *_LEFT), rows
    )
    errors = [whole, *(value for row in rows for value in row.si_rmse.values())]
    margin = 0.05 * (max(errors) - min(errors)) or 0.01
    parts += _errors(
        svg.ChartAxis(min(errors) - margin, max(errors) + margin, *_RIGHT), whole, rows
    )
    return svg.picture(parts, _WIDTH, height)


def _percents(rows: Sequence[Sensitivity]) -> list[float]:
    return [100 * row.saved[kind] for row in rows for kind in _BARS if kind in row.saved]


def _savings(x: svg.ChartAxis, rows: Sequence[Sensitivity]) -> list[str]:
    kinds = [kind for kind in _BARS if kind in rows[0].saved]
    thick = 0.76 * _ROW / len(kinds)
    parts = _grid(x, len(rows), "saved when half is pruned, % of the network")
    for number, row in enumerate(rows):
        for place, kind in enumerate(kinds):
            ends = sorted((x(0), x(100 * row.saved[kind])))
            top = _middle(number) + (place - len(kinds) / 2) * thick
            size = {"width": ends[1] - ends[0], "height": thick}
            parts.append(svg.tag("rect", class_=f"bar {_BARS[kind]}", x=ends[0], y=top, **size))
    return parts


def _errors(x: svg.ChartAxis, whole: float, rows: Sequence[Sensitivity]) -> list[str]:
    title = f"si-RMSE, untrained (line: whole network, {whole:.3f})"
    parts = _grid(x, len(rows), title)
    bottom = _middle(len(rows)) - _ROW / 2
    parts.append(svg.line((x(whole), _TOP), (x(whole), bottom), "level"))
    for number, row in enumerate(rows):
        y = _middle(number)
        parts.append(svg.polyline([(x(v), y) for v in (whole, *row.si_rmse.values())], "leader"))
        for place, value in enumerate(row.si_rmse.values()):
            kind = f"mark ink dot-{place}"
            parts.append(svg.tag("circle", class_=kind, cx=x(value), cy=y, r=4 + place))
    return parts


def _grid(x: svg.ChartAxis, rows: int, title: str) -> list[str]:
    bottom = _middle(rows) - _ROW / 2
    parts = []
    for value in x.ticks():
        parts.append(svg.line((x(value), _TOP), (x(value), bottom), "grid"))
        parts.append(svg.text(x(value), bottom + 16, f"{value:g}", "tick mid"))
    return [*parts, svg.text((x.start + x.end) / 2, bottom + 36, title, "tick mid")]


def _middle(row: int) -> float:
    return _TOP + _ROW * (row + 0.5)


def _csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()
