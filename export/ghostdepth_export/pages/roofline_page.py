"""The page of `ghostdepth latency --html`: each op against the least cycles the chip allows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_depth.core.files import write_bytes
from bench_depth.report.html import svg
from bench_depth.report.html.templating import render_page
from ghostdepth_export.pi4.latency import LatencyPrediction, OpLatency
from ghostdepth_export.pi4.latency.roofline import (
    DOT_PRODUCTS,
    ENOUGH,
    FLOAT_PRODUCTS,
    INT8_PRODUCTS,
    LOADED_BYTES,
    main_reasons,
)
from ghostdepth_export.pi4.latency.tables import warnings

REASONS = {
    "im2col": "patches are copied to a matrix first, on one thread",
    "loads": "the one load pipe is busy",
    "stores": "the store pipe is busy",
    "issue": "three instructions a cycle are issued, most of them no products",
    "packing": "the vector or integer pipes do other work: packing, requantizing, addresses",
    "arithmetic": "the pipes do other work, not packing: interpolating, requantizing, addresses",
}
# Width and height in pixels: for a screen, and for a phone.
_SIZES = ((1120, 420), (340, 340))
# Pixels from the edges of the plot to those of the picture.
_LEFT, _RIGHT, _TOP, _BOTTOM = 42.0, 14.0, 12.0, 48.0
# Ends of the plot: products for a byte, products for a cycle.
_X, _Y = (0.03, 100.0), (0.03, 32.0)
_SMALLEST, _LARGEST = 4.5, 16.0


@dataclass(frozen=True)
class _Model:
    prediction: LatencyPrediction
    warnings: list[str]
    plots: list[str]
    kinds: list[_Kind]
    ops: list[OpLatency]


@dataclass(frozen=True)
class _Kind:
    """All ops of a type.

    Attributes:
        name: Type, like `CONV_2D`.
        number: Number of ops.
        ms: Milliseconds.
        cycles: Million cycles on one thread.
        least: Million cycles of the limit.
        reasons: The reasons that cover most cycles of what is below half of its limit.
    """

    name: str
    number: int
    ms: float
    cycles: float
    least: float
    reasons: str


def write_page(target: Path, predictions: Sequence[LatencyPrediction]) -> None:
    """Writes the page.

    Args:
        target: The HTML file.
        predictions: Predictions, at least one whose ops have limits.

    Raises:
        UserError: The file cannot be written.
    """
    models = [
        _Model(
            each,
            warnings(each),
            [_plot(each.ops, *size) for size in _SIZES],
            kinds(each.ops),
            sorted(each.ops, key=lambda op: -op.ms),
        )
        for each in predictions
    ]
    page = render_page(
        "ghostdepth_export.pages",
        "roofline.html.j2",
        models=models,
        reasons=REASONS,
        enough=ENOUGH,
        fraction=_fraction,
    )
    write_bytes(target, page.encode())


def kinds(ops: Sequence[OpLatency]) -> list[_Kind]:
    """The types of ops, the costliest first."""
    groups: dict[str, list[OpLatency]] = {}
    for op in ops:
        groups.setdefault(op.name, []).append(op)
    found = [
        _Kind(
            name,
            len(group),
            sum(op.ms for op in group),
            sum(op.limit.cycles for op in group if op.limit) / 1e6,
            sum(min(op.limit.least, op.limit.cycles) for op in group if op.limit) / 1e6,
            ", ".join(main_reasons([op.limit for op in group if op.limit])),
        )
        for name, group in groups.items()
    ]
    return sorted(found, key=lambda kind: -kind.ms)


def _fraction(least: float, cycles: float) -> str:
    return f"{least / cycles:.0%}" if cycles else "-"


def _plot(ops: Sequence[OpLatency], width: int, height: int) -> str:
    """Products a cycle over products a byte, both logarithmic; the roofs as lines."""
    x = svg.ChartAxis(math.log10(_X[0]), math.log10(_X[1]), _LEFT, width - _RIGHT)
    y = svg.ChartAxis(math.log10(_Y[0]), math.log10(_Y[1]), height - _BOTTOM, _TOP)
    parts = _axes(x, y)
    roofs = ((FLOAT_PRODUCTS, "FMLA"), (INT8_PRODUCTS, "SMLAL"), (DOT_PRODUCTS, "SDOT"))
    for roof, name in roofs:
        level, knee = y(math.log10(roof)), x(math.log10(roof / LOADED_BYTES))
        foot = x(math.log10(_Y[0] / LOADED_BYTES)) if _Y[0] / LOADED_BYTES > _X[0] else x.start
        rise = y(math.log10(max(_X[0] * LOADED_BYTES, _Y[0])))
        parts.append(svg.polyline([(foot, rise), (knee, level), (x.end, level)], "leader"))
        # Near the knee: most ops lie at the other end of the line.
        parts.append(svg.text(knee + 36, level - 4, f"{roof} a cycle ({name})", "tick"))
    longest = max((op.ms for op in ops), default=1.0) or 1.0
    for op in sorted(ops, key=lambda op: -op.ms):
        if op.limit and op.limit.macs and op.limit.cycles:
            at = op.limit.macs / max(op.limit.bytes, 1), op.limit.macs / op.limit.cycles
            place = [
                axis(min(max(math.log10(value), axis.low), axis.high))
                for axis, value in zip((x, y), at, strict=True)
            ]
            kind = "mark" if op.limit.fraction >= ENOUGH else "mark series-2"
            radius = max(_SMALLEST, _LARGEST * math.sqrt(op.ms / longest))
            title = svg.tag("title", f"{op.index} {op.name} {op.shape}: {op.limit.fraction:.0%}")
            parts.append(svg.tag("circle", title, class_=kind, cx=place[0], cy=place[1], r=radius))
    return svg.picture(parts, width, height)


def _axes(x: svg.ChartAxis, y: svg.ChartAxis) -> list[str]:
    parts = []
    for value in (0.1, 1, 10, 100):
        place = x(math.log10(value))
        parts.append(svg.line((place, y.end), (place, y.start), "grid"))
        parts.append(svg.text(place, y.start + 16, f"{value:g}", "tick mid"))
    for value in (0.1, 1, 10):
        place = y(math.log10(value))
        parts.append(svg.line((x.start, place), (x.end, place), "grid"))
        parts.append(svg.text(x.start - 6, place + 4, f"{value:g}", "tick end"))
    title = "products per byte read or written (up: a cycle)"
    return [*parts, svg.text((x.start + x.end) / 2, y.start + 38, title, "tick mid")]
