"""Rows of figures as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path


def csv_bytes(rows: Sequence[Mapping[str, object]]) -> bytes:
    """Rows as a CSV file whose columns are all their keys; what a row lacks is empty."""
    fields = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def csv_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a file that `csv_bytes` made; none where there is no file."""
    return list(csv.DictReader(io.StringIO(path.read_text()))) if path.exists() else []
