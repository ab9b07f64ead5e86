"""Rows of figures as CSV, as a Markdown table, and as text."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
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


def markdown_table(
    heads: Sequence[str], rows: Iterable[Iterable[str]], text_columns: Collection[int] = (0,)
) -> str:
    """Rows as a Markdown table; columns are aligned to the right but for `text_columns`."""
    rule = ("---" if index in text_columns else "--:" for index in range(len(heads)))
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(rule)}|"]
    return "\n".join([*lines, *(f"| {' | '.join(cells)} |" for cells in rows)])


def mean_and_deviation(values: Sequence[float], digits: int = 4, sign: str = "") -> str:
    """The figure of several runs as text, such as `0.1234 ± 0.0056`; of one run without deviation.

    Args:
        values: The figure of each run, at least one.
        digits: Number of digits after the point.
        sign: `+` for a sign before positive means, too.
    """
    mean = f"{statistics.mean(values):{sign}.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean
