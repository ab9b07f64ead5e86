"""Rows of figures as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence


def csv_bytes(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Rows as a CSV file whose columns are all their keys; what a row lacks is empty."""
    fields = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
