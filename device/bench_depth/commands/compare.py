"""`bench-depth compare OLD.json NEW.json`: compares two results files."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from bench_depth.commands.arguments import Parser
from bench_depth.core.errors import UserError
from bench_depth.core.screen import counted, printable, show
from bench_depth.report.wording import figure, runtime_text, threads_text
from bench_depth.results.records import Context, ModelRecord, Results, load
from bench_depth.timing.comparison import apart

_WIDTH = 80


def main(arguments: Sequence[str]) -> int:
    """Runs the command.

    Args:
        arguments: Command-line arguments after the verb.

    Returns:
        0.

    Raises:
        UserError: A file is not a results file, or the two have no model in common.
    """
    parser = Parser(
        prog="bench-depth compare",
        description="Compares the latency of each model in two results files: ratio of new to old, "
        "95 % confidence interval, verdict. Models are matched by file name and threads; files "
        "with a single model each are compared whatever its name.",
    )
    parser.add_argument("old", type=Path, help="results file of the reference")
    parser.add_argument("new", type=Path, help="results file to compare with it")
    options = parser.parse_args(arguments)
    old, new = load(options.old), load(options.new)
    show(render(old, new, str(options.old), str(options.new)))
    return 0


def render(old: Results, new: Results, old_name: str, new_name: str) -> str:
    """Formats the comparison as text of at most 80 columns.

    Raises:
        UserError: The two have no model in common.
    """
    pairs = partners(old, new)
    if not pairs:
        raise UserError(
            f"{old_name} and {new_name} have no model in common: "
            f"{_names(old)} against {_names(new)}"
        )
    lines = []
    for before, after in pairs:
        _require_times(before, old_name)
        _require_times(after, new_name)
        name = after.file if after.file == before.file else f"{before.file} -> {after.file}"
        threads = f" ({counted(after.threads, 'thread')})" if after.threads else ""
        change = apart(after.invoke, before.invoke, before.file)
        interval = ""
        if change.low is not None and change.high is not None:
            interval = f" (95 %: {change.low:.3f} .. {change.high:.3f})"
        lines += [
            name + threads,
            f"  median {figure(before.invoke.statistics.median)} -> "
            f"{figure(after.invoke.statistics.median)} ms, p95 "
            f"{figure(before.invoke.statistics.p95)} -> {figure(after.invoke.statistics.p95)} ms",
            f"  ratio {change.ratio:.3f}{interval}: {change.verdict}",
            *_accuracy(before, after),
            *_other_work((before, old.context), (after, new.context)),
        ]
    return "\n".join(map(printable, [*lines, *_caveats(old, new)])) + "\n"


def partners(old: Results, new: Results) -> list[tuple[ModelRecord, ModelRecord]]:
    """Pairs the records of the same file and threads; with one record in each, those two."""
    if len(old.models) == len(new.models) == 1:
        return [(old.models[0], new.models[0])]
    known = {(record.file, record.threads): record for record in old.models}
    return [
        (known[record.file, record.threads], record)
        for record in new.models
        if (record.file, record.threads) in known
    ]


def _require_times(record: ModelRecord, name: str) -> None:
    """Refuses times that no measurement gives: nothing can be said about their ratio."""
    statistics = record.invoke.statistics
    if not all(0 < value < math.inf for value in (statistics.median, statistics.p95)):
        raise UserError(
            f"{name}: the median of {record.file} is {statistics.median:g} ms and its p95 "
            f"{statistics.p95:g} ms, which no measurement gives; measure it again"
        )
    if not record.invoke.times_ns or min(record.invoke.times_ns) <= 0:
        raise UserError(f"{name}: {record.file} has no times above 0 ns; measure it again")


def _accuracy(before: ModelRecord, after: ModelRecord) -> list[str]:
    if before.accuracy is None and after.accuracy is None:
        return []
    if before.accuracy is None or after.accuracy is None:
        return ["  accuracy was measured in one of the two only: not compared"]
    if (before.accuracy.data, before.accuracy.align) != (after.accuracy.data, after.accuracy.align):
        return ["  accuracy was measured on other data or with another alignment: not compared"]
    old, new = before.accuracy.mean, after.accuracy.mean
    if not all(map(math.isfinite, (old.si_rmse, old.delta_1, new.si_rmse, new.delta_1))):
        return ["  accuracy is no number in one of the two: not compared; measure it again"]
    return [
        f"  si-RMSE {old.si_rmse:.4f} -> {new.si_rmse:.4f}, delta_1 {old.delta_1:.4f} -> "
        f"{new.delta_1:.4f}"
    ]


def _other_work(
    before: tuple[ModelRecord, Context], after: tuple[ModelRecord, Context]
) -> list[str]:
    """Warnings that the two records did not measure the same."""
    (old, _), (new, _) = before, after
    runtimes = [(r.runtime.name, r.runtime.version, r.runtime.xnnpack) for r in (old, new)]
    found = [
        ("input", old.input, new.input),
        ("output", old.output, new.output),
        ("threads", threads_text(*before), threads_text(*after)),
    ]
    if old.file == new.file:
        found.append(("sha256 of the model", old.sha256[:12], new.sha256[:12]))
    if runtimes[0] != runtimes[1]:
        found.append(("runtime", runtime_text(old), runtime_text(new)))
    return [
        line
        for what, first, second in found
        if first != second
        for line in textwrap.wrap(
            f"warning: {what} differs: {first} -> {second}",
            _WIDTH,
            initial_indent="  ",
            subsequent_indent="    ",
        )
    ]


def _caveats(old: Results, new: Results) -> list[str]:
    """Differences other than the models that may explain a ratio."""
    lines = []
    for what, before, after in (
        ("board", old.context.board.model, new.context.board.model),
        ("CPU", old.context.board.cpu, new.context.board.cpu),
        ("governor", old.context.board.governor, new.context.board.governor),
        ("cores", old.context.affinity, new.context.affinity),
    ):
        if before != after:
            lines.append(f"note: {what} differs: {before} -> {after}")
    return ["", *lines] if lines else []


def _names(results: Results) -> str:
    return ", ".join(record.file for record in results.models) or "no model"
