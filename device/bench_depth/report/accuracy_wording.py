"""The texts and figures of accuracy that the table, the page and the other reports share."""

from __future__ import annotations

from collections.abc import Sequence

from bench_depth.accuracy.bands import Band
from bench_depth.accuracy.records import Accuracy
from bench_depth.core.screen import counted
from bench_depth.results.records import Results, labels

SHARPNESS_NOTE = (
    "DBE: depth-boundary errors as in iBims-1, on maps of at most 320 pixels a side with Canny "
    "thresholds 0.15 and 0.3: the mean distance from predicted edges to those of the ground truth "
    "(accuracy) and from these to predicted ones (completeness), each at most 10 pixels; edge "
    "energy: fraction of the gradient of log depth that is kept at the ground truth's edges, 1 is "
    "best"
)
BAND_HEADS = ("distance m", "pixels", "RMSE", "REL", "delta_1", "bias", "images")
BAND_NOTE = (
    "by distance of the ground truth: means over the images with pixels in the band; bias is the "
    "mean of ln(prediction / ground truth), above 0 is too far"
)


def accuracy_notes(results: Results) -> list[str]:
    """How accuracy and sharpness were measured; one sentence for all models that share it."""
    accuracies = [record.accuracy for record in results.models if record.accuracy is not None]
    notes = list(dict.fromkeys(map(_accuracy_note, accuracies)))
    return [*notes, SHARPNESS_NOTE] if sharpness_summary(results)[1] else notes


def sharpness_summary(results: Results) -> tuple[list[str], list[list[str]]]:
    """The sharpness of every model: the headings, and one row per model where it was measured."""
    heads = ["model", "DBE accuracy px", "DBE completeness px", "edge energy"]
    rows = []
    for label, record in zip(labels(results), results.models):
        mean = None if record.accuracy is None else record.accuracy.mean
        if mean is not None and mean.dbe_acc is not None:
            values = (mean.dbe_acc, mean.dbe_comp, mean.edge_energy)
            rows.append([label, *("-" if value is None else f"{value:.3f}" for value in values)])
    return heads, rows


def band_text(band: Band) -> str:
    """Like `1-2`, or `10+`: metres."""
    return f"{band.near_m:g}+" if band.far_m is None else f"{band.near_m:g}-{band.far_m:g}"


def band_rows(bands: Sequence[Band]) -> list[list[str]]:
    """One row under `BAND_HEADS` per band that has pixels."""
    return [
        [
            band_text(band),
            f"{100 * band.share:.1f} %",
            f"{band.rmse:.3f}",
            f"{band.rel:.3f}",
            f"{band.delta_1:.4f}",
            f"{band.bias:+.3f}",
            str(band.images),
        ]
        for band in bands
    ]


def band_summary(results: Results) -> tuple[list[str], list[list[str]]]:
    """The RMSE of every model by distance: the headings, and one row per band.

    There are no rows where no accuracy was measured. All models were run on the same images.
    """
    measured = [r.accuracy.bands if r.accuracy is not None else [] for r in results.models]
    bands = max(measured, key=len, default=[])
    heads = ["distance m", "pixels", *(f"RMSE {label}" for label in labels(results))]
    rows = [row[:2] for row in band_rows(bands)]
    for row, band in zip(rows, bands):
        for others in measured:
            rmse = next((o.rmse for o in others if o.near_m == band.near_m), None)
            row.append("-" if rmse is None else f"{rmse:.3f}")
    return heads, rows


def _accuracy_note(accuracy: Accuracy) -> str:
    align = {"none": "no alignment"}.get(accuracy.align, f"{accuracy.align} alignment")
    images = counted(len(accuracy.images), "image")
    note = f"accuracy: mean over {images} of {accuracy.data}, {align}; RMSE in m"
    if accuracy.left_out:
        names = ", ".join(accuracy.left_out)
        note += f"; left out, as their ground truth has no valid pixel: {names}"
    return note
