"""Tables of the calibration for the documents, from committed results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bench_depth.report.fastest import about_as_fast
from ghostdepth_export.pi4.counter import RUNTIMES
from ghostdepth_export.pi4.latency import BOARDS, board_coefficients, shipped
from ghostdepth_train.csv_files import csv_rows, markdown_table

_SUMMARY = Path(__file__).resolve().parent / "summary.json"
_RELEASED = Path(__file__).resolve().parent / "released.csv"
_COLUMNS = (
    ("left_out", "all"),
    ("left_out_longer", "6 ms and more"),
    ("left_out_short", "below 6 ms"),
    ("fp32_to_quantized", "fp32 to quantized"),
    ("small_to_large", "small to large"),
)


def forms_table() -> str:
    """Mean errors of the model and of simpler ones, on networks that they were not fitted to."""
    titles = [title for _, title in _COLUMNS]
    summary, rows = _summary(), []
    for form, checks in summary["forms"].items():
        means = [f"{checks[name]['mean']:.1%}" for name, _ in _COLUMNS]
        bias = max((e["bias"] for e in checks["families"].values()), key=abs)
        rows.append([form, *means, f"{checks['left_out']['within_10']:.0%}", f"{bias:+.1%}"])
    heads = ["fitted to", *titles, "within 10 %", "largest bias of a family"]
    return f"{markdown_table(heads, rows)}\n\n{summary['rows']} published rows."


def families_table() -> str:
    """How each family is predicted by coefficients that were fitted to the others."""
    families = _summary()["forms"]["counts"]["families"]
    rows = (
        [name, str(e["rows"]), f"{e['mean']:.1%}", f"{e['worst']:.1%}", f"{e['bias']:+.1%}"]
        for name, e in families.items()
    )
    return markdown_table(["family left out", "rows", "mean error", "largest", "bias"], rows)


def coefficients_table() -> str:
    """What is shipped."""
    names = ("cycle", "line", "wake", "input", "query")
    rows = (
        [name, f"{each.value:.3g}", f"{each.low:.3g} to {each.high:.3g}", each.unit]
        for name, each in ((name, getattr(shipped(), name)) for name in names)
    )
    return markdown_table(["cost", "value", "5 % to 95 %", "unit"], rows, (0, 2, 3))


def released_table() -> str:
    """What the released models' files are predicted to take."""
    heads = ["file", "ms, 4 threads", "band", "ms, 1 thread", "where (ms, 4 threads)"]
    rows = []
    for r in csv_rows(_RELEASED):
        four, low, high, one = (
            f"{float(r[name]):.1f}" for name in ("ms_4_threads", "low", "high", "ms_1_thread")
        )
        rows.append([r["file"], four, f"{low} to {high}", one, r["where"]])
    return markdown_table(heads, rows, (0, 2, 4))


def boards_table() -> str:
    """Every released file on every board, 4 threads, with bands."""
    found = csv_rows(_RELEASED.with_name("released-boards.csv"))
    rows = []
    for name in dict.fromkeys(r["file"] for r in found):
        bands = {r["board"]: _band(r) for r in found if r["file"] == name}
        rows.append([name, *(bands[board] for board in BOARDS)])
    return markdown_table(["file", *(board.title for board in BOARDS.values())], rows)


def limits_table() -> str:
    """The costliest kinds of op of the released files against the limit of the chip."""
    rows = []
    for r in csv_rows(_RELEASED.with_name("limits.csv")):
        cycles, least = float(r["mcycles"]), float(r["limit_mcycles"])
        figures = [r["ops"], r["ms"], r["mcycles"], f"{least / cycles:.0%}"]
        rows.append([r["type"], r["runtime"], r["kind"], *figures, r["why"]])
    heads = ["type", "runtime", "kind", "ops", "ms", "M cycles", "of limit", "why"]
    return markdown_table(heads, rows, (0, 1, 2, 7))


def board_errors_table() -> str:
    """The factors of each board, and how they predict published ratios."""
    base, rows = shipped(), []
    for r in csv_rows(_RELEASED.with_name("boards.csv")):
        known, clock = board_coefficients(r["board"]), BOARDS[r["board"]].clock_mhz
        cycles = known.cycle.value / base.cycle.value * clock / base.clock_mhz
        lines = known.line.value / base.line.value
        errors = [r[name] for name in ("which", "rows", "mean", "worst", "bias")]
        rows.append([r["board"], f"{cycles:.2f}", f"{lines:.2f}", *errors])
    heads = ["board", "cycles", "lines", "ratios", "rows", "mean error", "largest", "bias"]
    return markdown_table(heads, rows, (0, 3))


def runtimes_table() -> str:
    """Every released file in every runtime on every board, 4 threads.

    In bold the fastest runtime of a file on a board, and those that are about as fast.
    """
    found = csv_rows(_RELEASED.with_name("released-runtimes.csv"))
    rows = []
    for model, runtime in dict.fromkeys((r["model"], r["runtime"]) for r in found):
        cells = []
        for board in BOARDS:
            bands = {
                r["runtime"]: _figures(r)
                for r in found
                if (r["model"], r["board"]) == (model, board)
            }
            text = _text(bands[runtime]) if runtime in bands else "-"
            # Only where there is something to compare with.
            best = runtime in bands and len(bands) > 1
            best = best and about_as_fast(bands[runtime], min(bands.values()))
            cells.append(f"**{text}**" if best else text)
        rows.append([model, RUNTIMES[runtime].label, *cells])
    heads = ["model", "runtime", *(board.title for board in BOARDS.values())]
    return markdown_table(heads, rows, (0, 1))


def runtime_errors_table() -> str:
    """How published times of XNNPACK are predicted."""
    found = csv_rows(_RELEASED.with_name("runtimes-errors.csv"))
    rows = ([r[name] for name in ("rows", "number", "mean", "worst", "bias")] for r in found)
    return markdown_table(["rows", "number", "mean error", "largest", "bias"], rows)


def runtime_rows_table() -> str:
    """Each published time of XNNPACK beside its prediction."""
    names = ("network", "type", "runtime", "threads", "board", "split")
    rows = []
    for r in csv_rows(_RELEASED.with_name("runtimes.csv")):
        ms, predicted = float(r["ms"]), float(r["predicted_ms"])
        figures = [f"{ms:.0f}", f"{predicted:.0f}", f"{predicted / ms - 1:+.0%}"]
        rows.append([*(r[name] for name in names), *figures])
    heads = ["network", "type", "published for", "threads", "board", "split", "published ms"]
    return markdown_table([*heads, "predicted ms", ""], rows, (0, 1, 2, 4, 5))


def ranking_table() -> str:
    """How many pairs of published times are predicted in the published order."""
    found = csv_rows(_RELEASED.with_name("ranking.csv"))
    rows = (
        [r[name] for name in ("pairs", "networks", "number", "right", "fraction")] for r in found
    )
    return markdown_table(["pairs", "networks", "number", "in order", "fraction"], rows)


def _band(row: dict[str, str]) -> str:
    return _text(_figures(row))


def _text(band: tuple[float, float, float]) -> str:
    return "{:.1f} ({:.1f} to {:.1f})".format(*band)


def _figures(row: dict[str, str]) -> tuple[float, float, float]:
    return float(row["ms"]), float(row["low"]), float(row["high"])


def _summary() -> Any:
    return json.loads(_SUMMARY.read_text())
