"""The committed figures of the peers, as a table and a plot."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from ghostdepth_train.csv_files import csv_rows, markdown_table

RESULTS = Path(__file__).with_name("results.csv")
PLOT = Path(__file__).with_name("accuracy.png")
FILES = ("fp32", "int8")
COSTS = ("macs", "parameters", *(f"{of}_{f}" for f in FILES for of in ("bytes", "instr", "ms")))
ACCURACY = ("epochs", "si_rmse", "rmse", "delta_1", "dbe_acc", "dbe_comp", "edge_energy")
FIELDS = ("network", "input", *COSTS, *ACCURACY, "score")
Row = dict[str, str]


def read() -> dict[str, Row]:
    """The rows that exist, by network."""
    return {row["network"]: row for row in csv_rows(RESULTS)}


def table() -> str:
    """The figures as a Markdown table."""
    heads = ["network", "input", "M MACs", "M parameters", "kB int8", "M instructions int8"]
    heads += ["fp32, ms", "int8, ms", "si-RMSE", "RMSE m", "delta_1", "DBE px", "score"]
    lines = []

    def cell(row: Row, key: str, form: Callable[[float], str]) -> str:
        return form(float(row[key])) if row.get(key) else ""

    millions, thousands = (lambda value: f"{value / 1e6:.2f}"), (lambda value: f"{value / 1e3:.0f}")
    for row in sorted(read().values(), key=lambda row: float(row.get("ms_int8") or row["macs"])):
        cells = [row["network"], row["input"]]
        cells += [cell(row, key, millions) for key in ("macs", "parameters")]
        cells += [cell(row, "bytes_int8", thousands), cell(row, "instr_int8", millions)]
        cells += [cell(row, f"ms_{file}", "{:.1f}".format) for file in FILES]
        cells += [row.get(key, "") for key in ("si_rmse", "rmse", "delta_1")]
        cells.append(" / ".join(filter(None, (row.get("dbe_acc"), row.get("dbe_comp")))))
        lines.append([*cells, row.get("score", "")])
    return markdown_table(heads, lines, (0, 1))


def plot(rows: Iterable[Row], highlighted: Collection[str]) -> None:
    """Writes si-RMSE against predicted latency of the int8 files that were trained, if any."""
    points = [row for row in rows if row.get("si_rmse") and row.get("ms_int8")]
    if not points:
        return
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib import ticker

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for row in points:
        place = float(row["ms_int8"]), float(row["si_rmse"])
        colour = "tab:blue" if row["network"] in highlighted else "tab:grey"
        axes.scatter(*place, color=colour)
        axes.annotate(row["network"], place, (4, 4), textcoords="offset points", fontsize=8)
    axes.set_xscale("log")
    axes.margins(x=0.4)
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1.0, 2.0, 3.0, 5.0, 7.0)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel("predicted latency on a Raspberry Pi 4, int8, four threads, ms")
    axes.set_ylabel("si-RMSE on the validation photos")
    axes.grid(alpha=0.3)
    figure.savefig(PLOT, dpi=110)
    plt.close(figure)
