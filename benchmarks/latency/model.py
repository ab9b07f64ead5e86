"""The form of the predictions, the forms it is compared with, and how all of them are checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from fit import Array, errors, fit, intervals, left_out, transferred
from ghostdepth_export.pi4.latency import Coefficient, Coefficients, ErrorOf
from rows import Row

# What each form sums up of a row. The last two of "counts" are the harness's.
FORMS = {
    "counts": ("thread_cycles", "lines", "wakes", "input_elements", "queries"),
    "MACs": ("macs",),
    "MACs + bytes": ("macs", "bytes"),
    "MACs + bytes + harness": ("macs", "bytes", "input_elements"),
}
UNITS = {
    "cycle": "ms per million issue-limited cycles",
    "line": "ms per million 64-byte lines read from or written to DRAM",
    "wake": "ms per op that runs on several threads",
    "input": "ms per million fp32 input elements, published harness only",
    "query": "ms per query, published harness only",
}
CLOCK_MHZ = 1500
# Issuing takes the cycles counted at the least, so none can take less than the clock allows.
LEAST = np.array([round(1e3 / CLOCK_MHZ, 3), 0, 0, 0, 0])
# Milliseconds from which on a network is not called small.
SMALL = 6.0
# Networks of fewer million multiply-accumulates predict those of more.
LITTLE_WORK = 100.0


def features(rows: Sequence[Row], form: str = "counts") -> Array:
    """One column a cost: in millions; ops on several threads and queries one by one."""
    scale = [1.0 if name in ("wakes", "queries") else 1e-6 for name in FORMS[form]]
    return np.array([[getattr(r, name) for name in FORMS[form]] for r in rows], float) * scale


def published_ms(rows: Sequence[Row]) -> Array:
    """Of every row."""
    return np.array([r.p50_ms for r in rows])


def _least(form: str) -> Array | None:
    return LEAST if form == "counts" else None


def predicted_ms(rows: Sequence[Row], form: str = "counts") -> Array:
    """Of every row, by coefficients that were fitted without its family."""
    return left_out(
        features(rows, form), published_ms(rows), [r.family for r in rows], _least(form)
    )


def validated(rows: Sequence[Row], form: str) -> dict[str, Any]:
    """How well one form predicts what it was not fitted to."""
    x, ms, predicted = features(rows, form), published_ms(rows), predicted_ms(rows, form)
    least = _least(form)
    small, family = ms < SMALL, np.array([r.family for r in rows])
    fp32 = np.array([r.dtype == "fp32" for r in rows])
    little = np.array([r.macs < LITTLE_WORK * 1e6 for r in rows])
    return {
        "left_out": asdict(errors(predicted, ms)),
        "left_out_longer": asdict(errors(predicted[~small], ms[~small])),
        "left_out_short": asdict(errors(predicted[small], ms[small])),
        "families": {
            str(name): asdict(errors(predicted[family == name], ms[family == name]))
            for name in dict.fromkeys(family)
        },
        "fp32_to_quantized": asdict(errors(transferred(x, ms, fp32, least), ms[~fp32])),
        "small_to_large": asdict(errors(transferred(x, ms, little, least), ms[~little])),
        "fitted": asdict(errors(x @ fit(x, ms, least), ms)),
    }


def coefficients(rows: Sequence[Row], calibrated: frozenset[str]) -> Coefficients:
    """What `ghostdepth latency` ships, fitted to all rows.

    Args:
        rows: Counted.
        calibrated: Types of ops that the networks have enough of.
    """
    x, ms = features(rows), published_ms(rows)
    low, high = intervals(x, ms, [r.network for r in rows], least=LEAST)
    provenance = (
        f"{len(rows)} published latencies of classification networks, fp32 and quantized jointly; "
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
            UNITS.items(), fit(x, ms, LEAST), low, high, strict=True
        )
    }
    off = np.abs(predicted_ms(rows) / ms - 1)
    short, longer = (_nine_in_ten(off[part]) for part in (ms < SMALL, ms >= SMALL))
    return Coefficients(
        board="Raspberry Pi 4",
        runtime="2.5",
        clock_mhz=CLOCK_MHZ,
        **fitted,
        errors=(ErrorOf(SMALL, short), ErrorOf(None, longer)),
        calibrated=calibrated,
        uncalibrated_error=0.3,
    )


def _nine_in_ten(off: Array) -> float:
    return round(float(np.quantile(off, 0.9, method="higher")), 3)
