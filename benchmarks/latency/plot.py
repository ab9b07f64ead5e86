"""The picture of predicted against published times."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rows import Row

_MARKS = {"mobilenet-v1": "o", "mobilenet-v2": "s", "efficientnet-lite": "^", "resnet50": "D"}
_COLOURS = {"fp32": "tab:blue", "quantized": "tab:orange"}


def draw(rows: Sequence[Row], path: Path) -> None:
    """Every network's relative error, predicted without its family, over its published time."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3.6), layout="constrained")
    axes.axhspan(-10, 10, color="0.92", zorder=0, label="within 10 %")
    axes.axhline(0, color="0.5", linewidth=0.8)
    for family, mark in _MARKS.items():
        for dtype, colour in _COLOURS.items():
            found = [r for r in rows if r.family == family and r.dtype == dtype]
            if not found:
                continue
            ms = np.array([r.p50_ms for r in found])
            off = [100 * (r.predicted_ms / r.p50_ms - 1) for r in found]
            label = f"{family}, {dtype}"
            axes.scatter(ms, off, s=22, marker=mark, color=colour, alpha=0.8, label=label)
    axes.set_xscale("log")
    axes.set_xlabel("published median, ms (4 threads)")
    axes.set_ylabel("predicted less published, %")
    axes.set_title("Raspberry Pi 4: predicted by coefficients fitted to the other families")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, ncols=2)
    figure.savefig(path, dpi=110)
    plt.close(figure)
