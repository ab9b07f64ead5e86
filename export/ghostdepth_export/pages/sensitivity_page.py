"""The sensitivity report: a page with a plot and a table, and both as CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from bench_depth import __version__
from bench_depth.core.files import write_bytes
from ghostdepth_export.pages.plot import FAINT, INK, PAPER, SERIES, SETTINGS, for_page
from ghostdepth_export.pages.templating import template
from ghostdepth_export.pi4.budget.layer_times import REST
from ghostdepth_train.compress.sensitivity import Sensitivity
from ghostdepth_train.models.summary import LayerCost
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_BLUE, _ORANGE = SERIES.values()
_TITLES = {"macs": "MACs", "parameters": "parameters", "time": "time"}


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
        layers: Of the network.
        times: Microseconds of each, and of the rest.
        whole: The network's si-RMSE.
        rows: Of its widths.
    """
    head = ["layer", "kind", "output", "parameters", "macs", "time_us"]
    table: list[list[Any]] = [
        [r.name, r.kind, "x".join(map(str, r.shape)), r.parameters, r.macs, f"{times[r.name]:.3f}"]
        for r in layers
    ]
    table.append([REST, "", "", 0, 0, f"{times[REST]:.3f}"])
    write_bytes(out / "layers.csv", _csv(head, table))
    saved, errors = list(rows[0].saved), list(rows[0].si_rmse)
    head = ["width", "channels", "si_rmse"]
    head += [f"saved_{name}" for name in saved] + [f"si_rmse_{part:g}" for part in errors]
    table = [
        [row.name, row.width, f"{whole:.5f}"]
        + [f"{row.saved[name]:.5f}" for name in saved]
        + [f"{row.si_rmse[part]:.5f}" for part in errors]
        for row in rows
    ]
    write_bytes(out / "widths.csv", _csv(head, table))


def write_page(
    target: Path,
    name: str,
    whole: float,
    rows: Sequence[Sensitivity],
    pictures: int,
    importance: str,
) -> None:
    """Writes the page.

    Args:
        target: The HTML file.
        name: The checkpoint's.
        whole: Its si-RMSE.
        rows: Its widths.
        pictures: On how many pictures that was measured.
        importance: What decided which channels went.
    """
    page = template("sensitivity.html.j2").render(
        name=name,
        whole=whole,
        rows=rows,
        titles=_TITLES,
        pictures=pictures,
        importance=importance,
        plot=_plot(whole, rows),
        program=f"ghostdepth {__version__}",
    )
    write_bytes(target, page.encode())


def _plot(whole: float, rows: Sequence[Sensitivity]) -> str:
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": "sensitivity"}):
        figure = Figure(figsize=(11, 1.4 + 0.27 * len(rows)), dpi=72, layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _draw_savings(left, rows)
        _draw_errors(right, whole, rows)
        left.set_yticks(range(len(rows)), [row.name.removeprefix("encoder.") for row in rows])
        left.set_ylim(len(rows) - 0.5, -0.5)
        for axes in (left, right):
            axes.grid(visible=True, axis="x", alpha=0.35, linewidth=0.6)
            axes.set_axisbelow(True)
            axes.tick_params(axis="y", length=0)
            for side in ("top", "right", "left"):
                axes.spines[side].set_visible(False)
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True)
    return for_page(text.getvalue(), "sensitivity-")


def _draw_savings(axes: Axes, rows: Sequence[Sensitivity]) -> None:
    kinds = [kind for kind in ("macs", "time") if kind in rows[0].saved]
    height = 0.76 / len(kinds)
    for place, (kind, colour) in enumerate(zip(kinds, (_BLUE, _ORANGE), strict=False)):
        axes.barh(
            [index + (place - (len(kinds) - 1) / 2) * height for index in range(len(rows))],
            [100 * row.saved[kind] for row in rows],
            height,
            color=colour,
            label=_TITLES[kind],
        )
    axes.set_xlabel("saved when half of it goes, % of the network")


def _draw_errors(axes: Axes, whole: float, rows: Sequence[Sensitivity]) -> None:
    axes.axvline(whole, color=FAINT, linewidth=1)
    for place, row in enumerate(rows):
        values = list(row.si_rmse.values())
        axes.plot([whole, *values], [place] * (1 + len(values)), color=FAINT, linewidth=1)
    for part, size, alpha in zip(rows[0].si_rmse, (22, 40, 58), (0.4, 0.7, 1.0), strict=True):
        axes.scatter(
            [row.si_rmse[part] for row in rows],
            range(len(rows)),
            s=size,
            color=INK,
            alpha=alpha,
            edgecolor=PAPER,
            linewidth=0.8,
            zorder=3,
            label=f"{part:.0%} gone",
        )
    axes.set_xlabel(f"si-RMSE, untrained (line: whole network, {whole:.3f})")


def _csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()
