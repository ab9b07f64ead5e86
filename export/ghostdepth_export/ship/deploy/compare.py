"""The tables of a deployment."""

from __future__ import annotations

import sys
from collections.abc import Mapping

from bench_depth.core import screen
from bench_depth.report.table import render
from bench_depth.results.records import Results


def show(results: Mapping[str, Results]) -> None:
    """Prints each host's table, and of several hosts a comparison, to standard output."""
    for host, result in results.items():
        screen.say(host)
        screen.show(render(result, sys.stdout.isatty()) + "\n")
    if len(results) > 1:
        screen.show(compare(results) + "\n")


def compare(results: Mapping[str, Results]) -> str:
    """Median milliseconds of a run, a row per model and a column per host."""
    times: dict[str, dict[str, str]] = {}
    for host, result in results.items():
        for record in result.models:
            median = record.invoke.statistics.median
            times.setdefault(screen.printable(record.file), {})[host] = f"{median:.1f}"
    names = max(len("median ms"), *(len(file) for file in times))
    rows = ["median ms".ljust(names) + "".join(f"  {host}" for host in results)]
    for file, row in times.items():
        cells = [row.get(host, "-").rjust(len(host)) for host in results]
        rows.append("  ".join([file.ljust(names), *cells]))
    return "\n".join(rows)
