"""Rows of figures as CSV, as a Markdown table, as text, and for TensorBoard."""

from __future__ import annotations

import csv
import io
import statistics
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench_depth.core.errors import UserError
from bench_depth.core.files import make_folder


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


class EventLog:
    """Writes figures when they are added, so that a full disk is an error then.

    The writers of tensorboardX and torch write in a thread. One that cannot write ends with a
    traceback, and the training would wait without end for the place of its next figures.

    Args:
        folder: Folder that TensorBoard is given; made where missing.
        first: Step of the first figures. Those that an earlier run left from there on are hidden.

    Raises:
        UserError: The folder cannot be written.
    """

    def __init__(self, folder: Path, first: int) -> None:
        # Not torch.utils.tensorboard: where TensorFlow is installed that imports it, for seconds.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import SessionLog

        self._folder = make_folder(folder)
        try:
            self._writer = EventsWriter(str(folder / "events"))
        except OSError as error:
            raise self._unwritable(error) from error
        self._write(first, session_log=SessionLog(status=SessionLog.START))

    def add(self, figures: Mapping[str, float], step: int) -> None:
        """Writes the figures of one step.

        Raises:
            UserError: The disk is full.
        """
        from tensorboardX.proto.summary_pb2 import Summary

        values = [Summary.Value(tag=key, simple_value=value) for key, value in figures.items()]
        self._write(step, summary=Summary(value=values))

    def close(self) -> None:
        """Closes the file, which has all figures already."""
        try:
            self._writer.close()
        except OSError as error:
            raise self._unwritable(error) from error

    def _write(self, step: int, **content: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        try:
            self._writer.write_event(Event(step=step, wall_time=time.time(), **content))
            self._writer.flush()
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> UserError:
        reason = error.strerror or error
        return UserError(f"cannot write {self._folder}: {reason}; check free space and permissions")
