"""Fits coefficients to published Raspberry Pi 4 times and checks them by cross-validation.

    python benchmarks/predict/calibrate.py [--published FILE.csv ...] [--counts FOLDER]

With --published the networks named there are built and counted, half an hour in all; what was
counted before is kept in --counts. Without it the rows of results.csv are fitted again.
Writes results.csv, summary.json, predicted.svg and the shipped coefficients.json.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from bench_depth.errors import UserError
from bench_depth.files import write_json
from fit import Array, errors, fit, intervals, left_out, transferred
from ghostdepth_export.predict import Coefficient, Coefficients, ErrorOf, write_coefficients
from rows import Published, Row, counted, read_published, read_rows, row, write_rows

HERE = Path(__file__).resolve().parent
COUNTS = HERE.parents[1] / "runs" / "predict"
RESULTS, SUMMARY, PLOT = HERE / "results.csv", HERE / "summary.json", HERE / "predicted.svg"
SHIPPED = HERE.parents[1] / "export" / "ghostdepth_export" / "predict" / "coefficients.json"
# Milliseconds from which on a network is not called small.
SMALL = 6.0
# Networks of fewer million multiply-accumulates predict those of more.
LITTLE_WORK = 100.0
_UNITS = {
    "cycle": "ms per million issue-limited cycles",
    "line": "ms per million 64-byte lines read from or written to DRAM",
    "wake": "ms per op that runs on several threads",
    "input": "ms per million fp32 input elements, published harness only",
}
MODELS = {
    "counts": ("thread_cycles", "lines", "wakes", "input_elements"),
    "MACs": ("macs",),
    "MACs + bytes": ("macs", "bytes"),
    "MACs + bytes + harness": ("macs", "bytes", "input_elements"),
}


def features(rows: list[Row], model: str = "counts") -> Array:
    """One column a cost: in millions, ops on several threads one by one."""
    columns = MODELS[model]
    scale = [1.0 if name == "wakes" else 1e-6 for name in columns]
    return np.array([[getattr(r, name) for name in columns] for r in rows], float) * scale


def published_ms(rows: list[Row]) -> Array:
    """Of every row."""
    return np.array([r.p50_ms for r in rows])


def families(rows: list[Row]) -> list[str]:
    """Of every row."""
    return [r.family for r in rows]


def validated(rows: list[Row], model: str) -> dict[str, Any]:
    """How well one form of the model predicts what it was not fitted to."""
    x, ms, of = features(rows, model), published_ms(rows), families(rows)
    predicted = left_out(x, ms, of)
    small, group = ms < SMALL, np.array(of)
    fp32 = np.array([r.dtype == "fp32" for r in rows])
    little = np.array([r.macs < LITTLE_WORK * 1e6 for r in rows])
    return {
        "left out": asdict(errors(predicted, ms)),
        f"left out, {SMALL:g} ms and more": asdict(errors(predicted[~small], ms[~small])),
        f"left out, below {SMALL:g} ms": asdict(errors(predicted[small], ms[small])),
        "families": {
            name: asdict(errors(predicted[group == name], ms[group == name]))
            for name in dict.fromkeys(of)
        },
        # The harness's conversion of float inputs cannot be learned from quantised ones.
        "fp32 -> quantised": asdict(errors(transferred(x, ms, fp32), ms[~fp32])),
        f"below {LITTLE_WORK:g} M MACs -> above": asdict(
            errors(transferred(x, ms, little), ms[~little])
        ),
        "fitted": asdict(errors(x @ fit(x, ms), ms)),
    }


def coefficients(rows: list[Row], calibrated: frozenset[str]) -> Coefficients:
    """What `ghostdepth predict` ships, fitted to all rows."""
    x, ms = features(rows), published_ms(rows)
    low, high = intervals(x, ms, [r.network for r in rows])
    provenance = (
        f"{len(rows)} published latencies of classification networks, fp32 and quantised jointly; "
        "interval: 5 % to 95 % of 1000 draws of networks"
    )
    fitted = {
        name: Coefficient(
            round(float(value), 4),
            round(float(min(at_least, value)), 4),
            round(float(max(at_most, value)), 4),
            unit,
            provenance,
        )
        for (name, unit), value, at_least, at_most in zip(
            _UNITS.items(), fit(x, ms), low, high, strict=True
        )
    }
    off = np.abs(left_out(x, ms, families(rows)) / ms - 1)
    small = ms < SMALL
    return Coefficients(
        board="Raspberry Pi 4",
        runtime="2.5",
        clock_mhz=1500,
        **fitted,
        errors=(ErrorOf(SMALL, _nine_in_ten(off[small])), ErrorOf(None, _nine_in_ten(off[~small]))),
        calibrated=calibrated,
        uncalibrated_error=0.3,
    )


def _nine_in_ten(off: Array) -> float:
    return round(float(np.quantile(off, 0.9, method="higher")), 3)


def counted_rows(published: list[Published], folder: Path) -> tuple[list[Row], frozenset[str]]:
    """Counts what is not counted yet, the smallest first, and tells which types of ops there are.

    Raises:
        UserError: A network is not known, or cannot be counted.
    """
    from ghostdepth_export.emulator import build_root

    root = build_root("bullseye", _tell)
    rows, names = [], set()
    for number, of in enumerate(sorted(published, key=lambda of: of.p50_ms), 1):
        _tell(f"{number} of {len(published)}: {of.model}")
        counts, work = counted(of.model, folder, root)
        rows.append(row(of, counts, work))
        names |= {op.name for op in work}
    return rows, frozenset(names)


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """Writes all results; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--published", type=Path, action="append", help="columns model, p50_ms")
    parser.add_argument("--counts", type=Path, default=COUNTS, help="folder of files and counts")
    options = parser.parse_args(arguments)
    try:
        rows, calibrated = _rows(options.published, options.counts)
    except UserError as error:
        print(f"calibrate.py: {error}", file=sys.stderr)
        return error.exit_code
    predicted = left_out(features(rows), published_ms(rows), families(rows))
    rows = [replace(r, predicted_ms=float(p)) for r, p in zip(rows, predicted, strict=True)]
    write_rows(RESULTS, rows)
    fitted = coefficients(rows, calibrated)
    write_coefficients(SHIPPED, fitted)
    summary = {"models": {name: validated(rows, name) for name in MODELS}}
    write_json(SUMMARY, summary)
    from plot import draw

    draw(rows, PLOT)
    _report(fitted, summary["models"])
    return 0


def _rows(published: list[Path] | None, folder: Path) -> tuple[list[Row], frozenset[str]]:
    if published is None:
        from ghostdepth_export.predict import read_coefficients

        return read_rows(RESULTS), read_coefficients(SHIPPED).calibrated
    of = [entry for path in published for entry in read_published(path)]
    return counted_rows(of, folder)


def _report(fitted: Coefficients, models: dict[str, Any]) -> None:
    for name in _UNITS:
        number = getattr(fitted, name)
        print(f"{name}: {number.value} ({number.low} to {number.high}) {number.unit}")
    for model, checks in models.items():
        print(model)
        for check, found in checks.items():
            parts = found.items() if check == "families" else [(check, found)]
            for part, e in parts:
                print(
                    f"  {part}: {e['mean']:.1%} mean, {e['worst']:.1%} worst, "
                    f"{e['within_10']:.0%} within 10 %, bias {e['bias']:+.1%}, {e['rows']} rows"
                )


if __name__ == "__main__":
    sys.exit(main())
