"""Tables of the calibration for the documents, from committed results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ghostdepth_export.pi4.counter import RUNTIMES
from ghostdepth_export.pi4.latency import BOARDS, board_coefficients, shipped
from ghostdepth_train.csv_files import csv_rows

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
    rows = [
        f"| fitted to | {' | '.join(title for _, title in _COLUMNS)} | within 10 % "
        "| largest bias of a family |",
        "|---|" + "--:|" * (len(_COLUMNS) + 2),
    ]
    summary = _summary()
    for form, checks in summary["forms"].items():
        means = " | ".join(f"{checks[name]['mean']:.1%}" for name, _ in _COLUMNS)
        bias = max((e["bias"] for e in checks["families"].values()), key=abs)
        rows.append(f"| {form} | {means} | {checks['left_out']['within_10']:.0%} | {bias:+.1%} |")
    return "\n".join([*rows, "", f"{summary['rows']} published rows."])


def families_table() -> str:
    """How each family is predicted by coefficients that were fitted to the others."""
    rows = ["| family left out | rows | mean error | largest | bias |", "|---|--:|--:|--:|--:|"]
    for family, e in _summary()["forms"]["counts"]["families"].items():
        rows.append(
            f"| {family} | {e['rows']} | {e['mean']:.1%} | {e['worst']:.1%} | {e['bias']:+.1%} |"
        )
    return "\n".join(rows)


def coefficients_table() -> str:
    """What is shipped."""
    rows = ["| cost | value | 5 % to 95 % | unit |", "|---|--:|---|---|"]
    for name in ("cycle", "line", "wake", "input", "query"):
        number = getattr(shipped(), name)
        rows.append(
            f"| {name} | {number.value:.3g} | {number.low:.3g} to {number.high:.3g} "
            f"| {number.unit} |"
        )
    return "\n".join(rows)


def released_table() -> str:
    """What the released models' files are predicted to take."""
    found = csv_rows(_RELEASED)
    rows = ["| file | ms, 4 threads | band | ms, 1 thread | where (ms, 4 threads) |"]
    rows.append("|---|--:|---|--:|---|")
    for r in found:
        rows.append(
            f"| {r['file']} | {float(r['ms_4_threads']):.1f} "
            f"| {float(r['low']):.1f} to {float(r['high']):.1f} "
            f"| {float(r['ms_1_thread']):.1f} | {r['where']} |"
        )
    return "\n".join(rows)


def boards_table() -> str:
    """Every released file on every board, 4 threads, with bands."""
    found = csv_rows(_RELEASED.with_name("released-boards.csv"))
    rows = [f"| file | {' | '.join(board.title for board in BOARDS.values())} |"]
    rows.append("|---|" + "--:|" * len(BOARDS))
    for name in dict.fromkeys(r["file"] for r in found):
        bands = {r["board"]: _band(r) for r in found if r["file"] == name}
        rows.append(f"| {name} | {' | '.join(bands[board] for board in BOARDS)} |")
    return "\n".join(rows)


def board_errors_table() -> str:
    """The factors of each board, and how they predict published ratios."""
    found = csv_rows(_RELEASED.with_name("boards.csv"))
    base = shipped()
    rows = ["| board | cycles | lines | ratios | rows | mean error | largest | bias |"]
    rows.append("|---|--:|--:|---|--:|--:|--:|--:|")
    for r in found:
        known, clock = board_coefficients(r["board"]), BOARDS[r["board"]].clock_mhz
        cycles = known.cycle.value / base.cycle.value * clock / base.clock_mhz
        lines = known.line.value / base.line.value
        rows.append(
            f"| {r['board']} | {cycles:.2f} | {lines:.2f} | {r['which']} | {r['rows']} "
            f"| {r['mean']} | {r['worst']} | {r['bias']} |"
        )
    return "\n".join(rows)


def runtimes_table() -> str:
    """Every released file in every runtime on every board, 4 threads; the fastest in bold."""
    found = csv_rows(_RELEASED.with_name("released-runtimes.csv"))
    rows = [f"| model | runtime | {' | '.join(board.title for board in BOARDS.values())} |"]
    rows.append("|---|---|" + "--:|" * len(BOARDS))
    for model, runtime in dict.fromkeys((r["model"], r["runtime"]) for r in found):
        cells = []
        for board in BOARDS:
            all_ms = {r["runtime"]: r for r in found if (r["model"], r["board"]) == (model, board)}
            band = _band(all_ms[runtime]) if runtime in all_ms else "-"
            least = min((float(r["ms"]) for r in all_ms.values()), default=0.0)
            # Only where there is something to compare with.
            first = len(all_ms) > 1 and runtime in all_ms and float(all_ms[runtime]["ms"]) == least
            cells.append(f"**{band}**" if first else band)
        rows.append(f"| {model} | {RUNTIMES[runtime].label} | {' | '.join(cells)} |")
    return "\n".join(rows)


def runtime_errors_table() -> str:
    """How published times of XNNPACK are predicted."""
    found = csv_rows(_RELEASED.with_name("runtimes-errors.csv"))
    rows = ["| rows | number | mean error | largest | bias |", "|---|--:|--:|--:|--:|"]
    rows += [
        f"| {r['rows']} | {r['number']} | {r['mean']} | {r['worst']} | {r['bias']} |" for r in found
    ]
    return "\n".join(rows)


def runtime_rows_table() -> str:
    """Each published time of XNNPACK beside its prediction."""
    found = csv_rows(_RELEASED.with_name("runtimes.csv"))
    rows = ["| network | type | published for | threads | split | published ms | predicted ms | |"]
    rows.append("|---|---|---|--:|---|--:|--:|--:|")
    for r in found:
        ms, predicted = float(r["ms"]), float(r["predicted_ms"])
        rows.append(
            f"| {r['network']} | {r['type']} | {r['runtime']} | {r['threads']} | {r['split']} "
            f"| {ms:.0f} | {predicted:.0f} | {predicted / ms - 1:+.0%} |"
        )
    return "\n".join(rows)


def _band(row: dict[str, str]) -> str:
    ms, low, high = (float(row[name]) for name in ("ms", "low", "high"))
    return f"{ms:.1f} ({low:.1f} to {high:.1f})"


def _summary() -> Any:
    return json.loads(_SUMMARY.read_text())
