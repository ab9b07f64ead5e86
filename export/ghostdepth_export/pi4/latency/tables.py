"""Latency predictions as tables for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench_depth.core.screen import counted, printable
from ghostdepth_export.host.screen import Screen, cell
from ghostdepth_export.pi4.counter import little_delegated
from ghostdepth_export.pi4.latency.prediction import LatencyPrediction, OpLatency
from ghostdepth_export.pi4.latency.roofline import ENOUGH, main_reasons
from rich.table import Table
from rich.text import Text

# An op on one of several threads is marked from this fraction of the latency on.
_NOTABLE = 0.05
# Columns of words.
_TEXT = ("", "unit", "doubts", "why")


def show(prediction: LatencyPrediction, top: int, console: Screen) -> None:
    """Prints one model: the latency and its band, types of ops, the slowest ops, a warning.

    Args:
        prediction: Prediction to print.
        top: Number of slowest ops to print.
        console: Screen to print to.
    """
    console.print(_sum(prediction))
    console.print(_types(prediction))
    if top > 0:
        console.print(_ops(prediction, top))
    for warning in warnings(prediction):
        console.print(cell(f"warning: {warning}", style="yellow"))


def heading(prediction: LatencyPrediction) -> Text:
    """One line that says what the figures are."""
    runtime = f"{prediction.label} {prediction.runtime}"
    text = f"predicted for {prediction.board}, {runtime}, from instruction counts"
    return Text.assemble((text, "bold"), ": nothing was measured")


def compared(predictions: Sequence[LatencyPrediction]) -> Table:
    """Several models side by side; the fastest is marked."""
    table = _titled_table("side by side", "ms", "low", "high", "ratio", "issue", "memory", "ops")
    fastest = min(prediction.ms for prediction in predictions)
    for each in predictions:
        ratio = each.ms / predictions[0].ms
        table.add_row(
            cell(each.file),
            cell(_ms(each.ms), style="bold green" if each.ms == fastest else "bold"),
            *(cell(_ms(ms)) for ms in (each.low, each.high)),
            cell(f"{ratio:.2f}"),
            *(cell(_ms(ms)) for ms in _issue_and_memory(each.ops)),
            cell(str(len(each.ops))),
        )
    return table


def warnings(prediction: LatencyPrediction) -> list[str]:
    """A line for each way in which ops are outside of what the prediction was checked for."""
    lines = []
    if warning := little_delegated(prediction.kept, prediction.ms, "latency"):
        lines.append(warning)
    if types := prediction.unsplit:
        lines.append(
            f"{_fraction(types, prediction)} of the latency is in ops that are outside the rules "
            f"of {prediction.label} {prediction.runtime}'s threads ({', '.join(types)}); the time "
            "of one thread is taken for them"
        )
    if prediction.judged:
        lines.append(
            f"published times of {prediction.label} are of an older version, so that nothing was "
            "fitted to them; the band is as wide as they need"
        )
    elif types := prediction.uncalibrated:
        lines.append(
            f"{_fraction(types, prediction)} of the latency is in ops that are rare in the "
            f"calibration networks or have another data type there ({', '.join(types)}); they may "
            "take longer, so the band is wider"
        )
    return lines


def _fraction(types: Mapping[str, float], prediction: LatencyPrediction) -> str:
    return f"{sum(types.values()) / prediction.ms:.0%}"


def _sum(prediction: LatencyPrediction) -> Text:
    threads = counted(prediction.threads, "thread")
    return Text.assemble(
        "\n",
        (printable(prediction.file), "bold"),
        f", {threads}, {prediction.clock_mhz:g} MHz: ",
        (f"{_ms(prediction.ms)} ms", "bold cyan"),
        f" ({_ms(prediction.low)} to {_ms(prediction.high)})",
    )


def _types(prediction: LatencyPrediction) -> Table:
    groups: dict[str, list[OpLatency]] = {}
    for op in prediction.ops:
        groups.setdefault(op.name, []).append(op)
    # With one thread all ops are on one.
    several = prediction.threads > 1
    heads = ("ms", "of total", "issue", "memory", *several * ("1 thread",), "of limit", "why")
    table = _titled_table("by type of op", *heads)
    for name, ops in sorted(groups.items(), key=lambda item: -_total(item[1])):
        alone = sum(op.threads == 1 for op in ops)
        table.add_row(
            cell(f"{len(ops)} {name}", style="" if ops[0].calibrated else "yellow"),
            *_time(_total(ops), prediction),
            *(cell(_ms(ms)) for ms in _issue_and_memory(ops)),
            *several * (cell(str(alone)),),
            *_of_limit(ops),
        )
    table.add_row(cell("outside the ops"), *_time(prediction.outside_ms, prediction))
    return _without_limits(table, prediction)


def _ops(prediction: LatencyPrediction, top: int) -> Table:
    heads = ("ms", "issue", "memory", "threads", "of limit", "why")
    table = _titled_table("the slowest ops", *heads)
    for op in sorted(prediction.ops, key=lambda op: -op.ms)[:top]:
        alone = op.threads == 1 < prediction.threads and op.ms >= _NOTABLE * prediction.ms
        issue, memory = _issue_and_memory([op])
        table.add_row(
            cell(f"{op.index} {op.name} {op.shape}", style="" if op.calibrated else "yellow"),
            cell(_ms(op.ms), style="bold"),
            cell(_ms(issue)),
            cell(_ms(memory), style="magenta" if op.bound == "memory" else ""),
            cell(str(op.threads), style="bold red" if alone else ""),
            *_of_limit([op]),
        )
    return _without_limits(table, prediction)


def _without_limits(table: Table, prediction: LatencyPrediction) -> Table:
    """Drops the last two columns where nothing is known of the chip's limit, as in LiteRT."""
    if all(op.limit is None for op in prediction.ops):
        del table.columns[-2:]
    return table


def _of_limit(ops: Sequence[OpLatency]) -> tuple[Text, Text]:
    """The fraction of the chip's limit that ops reach, and why not half of it."""
    limits = [op.limit for op in ops if op.limit is not None]
    cycles = sum(limit.cycles for limit in limits)
    least = sum(limit.fraction * limit.cycles for limit in limits)
    if not cycles:
        return cell(""), cell("")
    low = least / cycles < ENOUGH
    reasons = ", ".join(main_reasons(limits))
    return cell(f"{least / cycles:.0%}", style="yellow" if low else ""), cell(reasons)


def _titled_table(title: str, *columns: str) -> Table:
    table = figure_table("", *columns)
    table.title, table.title_justify = cell(title), "left"
    return table


def figure_table(*columns: str) -> Table:
    """A table of figures; heads of two words take two lines, so that it fits into 80 columns."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for column in columns:
        table.add_column(
            Text(column.replace(" ", "\n")),
            justify="left" if column in _TEXT else "right",
            vertical="bottom",
        )
    return table


def _time(ms: float, prediction: LatencyPrediction) -> tuple[Text, Text]:
    return cell(_ms(ms), style="bold"), cell(f"{ms / prediction.ms:.1%}")


def _total(ops: Sequence[OpLatency]) -> float:
    return sum(op.ms for op in ops)


def _issue_and_memory(ops: Sequence[OpLatency]) -> tuple[float, float]:
    """Milliseconds of issuing instructions and waking threads, and of memory."""
    return sum(op.compute_ms + op.wake_ms for op in ops), sum(op.memory_ms for op in ops)


def _ms(ms: float) -> str:
    """Three significant digits, at most two decimals."""
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}"
