"""Fits coefficients to published Raspberry Pi 4 times and checks them by cross-validation.

    python benchmarks/latency/calibrate.py [--published FILE.csv ...] [--counts FOLDER]

With --published the networks named there are built and counted, some ten seconds each; what was
counted before is kept in --counts. Without it the rows of results.csv are fitted again. Writes
results.csv, summary.json, predicted.png and the coefficients that `ghostdepth latency` ships.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_json
from ghostdepth_export.pi4.latency import Coefficients, read_coefficients, write_coefficients
from model import FORMS, UNITS, coefficients, predicted_ms, validated
from plot import draw
from rows import Row, counted, read_published, read_rows, row, write_rows

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
COUNTS = ROOT / "runs" / "latency"
RESULTS, SUMMARY, PLOT = HERE / "results.csv", HERE / "summary.json", HERE / "predicted.png"
SHIPPED = ROOT / "export" / "ghostdepth_export" / "pi4" / "latency" / "coefficients.json"
# A type of op is calibrated when so many of the networks have it.
ENOUGH_NETWORKS = 4


def counted_rows(published: Sequence[Path], folder: Path) -> tuple[list[Row], frozenset[str]]:
    """Counts what is not counted yet, the shortest first; tells which types of ops are common.

    Raises:
        UserError: A file cannot be read, or a network is not known or cannot be counted.
    """
    from ghostdepth_export.pi4.emulator import build_root

    entries = [entry for path in published for entry in read_published(path)]
    root = build_root("bullseye", _tell)
    rows, types = [], Counter[str]()
    for number, entry in enumerate(sorted(entries, key=lambda entry: entry.p50_ms), 1):
        _tell(f"{number} of {len(entries)}: {entry.model}")
        counts, work = counted(entry.model, folder, root)
        rows.append(row(entry, counts, work))
        types.update({op.name for op in work})
    return rows, frozenset(name for name, number in types.items() if number >= ENOUGH_NETWORKS)


def write_all(rows: Sequence[Row], calibrated: frozenset[str]) -> dict[str, Any]:
    """Writes every result; gives the summary."""
    predicted = predicted_ms(rows)
    rows = [replace(r, predicted_ms=float(ms)) for r, ms in zip(rows, predicted, strict=True)]
    fitted = coefficients(rows, calibrated)
    summary = {"rows": len(rows), "forms": {form: validated(rows, form) for form in FORMS}}
    write_rows(RESULTS, rows)
    write_coefficients(SHIPPED, fitted)
    write_json(SUMMARY, summary)
    draw(rows, PLOT)
    _report(fitted, summary["forms"])
    return summary


def _report(fitted: Coefficients, forms: dict[str, Any]) -> None:
    for name in UNITS:
        number = getattr(fitted, name)
        print(f"{name}: {number.value} ({number.low} to {number.high}) {number.unit}")
    for form, checks in forms.items():
        print(form)
        for check, found in checks.items():
            for part, e in found.items() if check == "families" else [(check, found)]:
                print(
                    f"  {part}: {e['mean']:.1%} mean, {e['worst']:.1%} worst, "
                    f"{e['within_10']:.0%} within 10 %, bias {e['bias']:+.1%}, {e['rows']} rows"
                )


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Writes all results; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--published", type=Path, action="append", help="columns model, p50_ms")
    parser.add_argument("--counts", type=Path, default=COUNTS, help="folder of files and counts")
    options = parser.parse_args(arguments)
    if options.published:
        rows, calibrated = counted_rows(options.published, options.counts)
    else:
        rows, calibrated = read_rows(RESULTS), read_coefficients(SHIPPED).calibrated
    write_all(rows, calibrated)
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("calibrate.py", main))
