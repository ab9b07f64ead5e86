"""The accuracy of each image as CSV, for a spreadsheet."""

from __future__ import annotations

import csv
import io
from dataclasses import fields

from bench_depth.core.metrics import DepthMetrics
from bench_depth.results.records import Results


def to_csv(results: Results) -> str:
    """One line per image and model, in the dataset's order.

    Images without a valid pixel come after the others of their model, with empty figures.
    """
    figures = [field.name for field in fields(DepthMetrics)]
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["file", "threads", "image", "align", *figures])
    for record in results.models:
        accuracy = record.accuracy
        if accuracy is None:
            continue
        model = [record.file, record.threads or results.context.threads]
        for image in accuracy.images:
            row = [getattr(image.metrics, name) for name in figures]
            writer.writerow([*model, image.name, accuracy.align, *row])
        for name in accuracy.left_out:
            writer.writerow([*model, name, accuracy.align, *[""] * len(figures)])
    return stream.getvalue()
