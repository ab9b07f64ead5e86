"""The accuracy of each image as CSV, for a spreadsheet."""

from __future__ import annotations

import csv
import io

from bench_depth.core.metrics import METRICS
from bench_depth.core.screen import printable
from bench_depth.results.records import Results


def to_csv(results: Results) -> str:
    """One line per image and model, in the dataset's order.

    Images without a valid pixel come after the others of their model, with empty figures. Control
    characters in names become escapes.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["file", "threads", "image", "align", *METRICS])
    for record in results.models:
        accuracy = record.accuracy
        if accuracy is None:
            continue
        model = [record.file, record.threads or results.context.threads]
        for image in accuracy.images:
            row = [getattr(image.metrics, name) for name in METRICS]
            writer.writerow([*model, image.name, accuracy.align, *row])
        for name in accuracy.left_out:
            writer.writerow([*model, name, accuracy.align, *[""] * len(METRICS)])
    return printable(stream.getvalue(), keep="\n")
