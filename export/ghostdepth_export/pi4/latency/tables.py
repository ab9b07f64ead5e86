"""Predictions as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from ghostdepth_export.pi4.latency.prediction import LatencyPrediction, OpLatency
from rich.console import Console
from rich.table import Table
from rich.text import Text

# From this share of the time on an op that runs on one of several threads is worth a look.
_NOTABLE = 0.05


def show(prediction: LatencyPrediction, top: int, console: Console) -> None:
    """Prints one model: the sum with its band, types of ops, the costliest ops, a warning.

    Args:
        prediction: Of the model.
        top: How many ops are printed, the costliest.
        console: Where to.
    """
    console.print(_sum(prediction))
    console.print(_types(prediction))
    if top > 0:
        console.print(_ops(prediction, top))
    if warning := uncalibrated_warning(prediction):
        console.print(Text(f"warning: {warning}", style="yellow"))


def heading(prediction: LatencyPrediction) -> Text:
    """What all of the figures are."""
    text = f"predicted for {prediction.board}, TFLite {prediction.runtime}, from counts"
    return Text.assemble((text, "bold"), ": nothing was measured")


def compared(predictions: Sequence[LatencyPrediction]) -> Table:
    """Several models side by side; the quickest is marked."""
    table = _table("side by side", "ms", "low", "high", "ratio", "issue", "memory", "ops")
    quickest = min(prediction.ms for prediction in predictions)
    for each in predictions:
        ratio = each.ms / predictions[0].ms
        table.add_row(
            Text(each.file),
            Text(_ms(each.ms), style="bold green" if each.ms == quickest else "bold"),
            *(Text(_ms(ms)) for ms in (each.low, each.high)),
            Text(f"{ratio:.2f}"),
            *(Text(_ms(ms)) for ms in _parts(each.ops)),
            Text(str(len(each.ops))),
        )
    return table


def uncalibrated_warning(prediction: LatencyPrediction) -> str:
    """Which ops the calibration hardly knows, in a line; empty where there are none."""
    types = prediction.uncalibrated
    if not types:
        return ""
    share = sum(types.values()) / prediction.ms
    named = ", ".join(types)
    return (
        f"{share:.0%} of the time is of ops that the networks of the calibration hardly have "
        f"({named}); they may take longer, and the band is wider for it"
    )


def _sum(prediction: LatencyPrediction) -> Text:
    threads = "1 thread" if prediction.threads == 1 else f"{prediction.threads} threads"
    return Text.assemble(
        ("\n" + prediction.file, "bold"),
        f", {threads}, {prediction.clock_mhz:g} MHz: ",
        (f"{_ms(prediction.ms)} ms", "bold cyan"),
        f" ({_ms(prediction.low)} to {_ms(prediction.high)})",
    )


def _types(prediction: LatencyPrediction) -> Table:
    groups: dict[str, list[OpLatency]] = {}
    for op in prediction.ops:
        groups.setdefault(op.name, []).append(op)
    table = _table("by type of op", "ms", "share", "issue", "memory", "on one thread")
    for name, ops in sorted(groups.items(), key=lambda item: -_total(item[1])):
        alone = sum(op.threads == 1 for op in ops)
        table.add_row(
            Text(f"{len(ops)} {name}", style="" if ops[0].calibrated else "yellow"),
            *_time(_total(ops), prediction),
            *(Text(_ms(ms)) for ms in _parts(ops)),
            Text(str(alone)),
        )
    table.add_row(Text("outside the ops"), *_time(prediction.outside_ms, prediction))
    return table


def _ops(prediction: LatencyPrediction, top: int) -> Table:
    table = _table("the costliest ops", "ms", "share", "issue", "memory", "threads", "bound")
    for op in sorted(prediction.ops, key=lambda op: -op.ms)[:top]:
        alone = op.threads == 1 < prediction.threads and op.ms >= _NOTABLE * prediction.ms
        table.add_row(
            Text(f"{op.index} {op.name} {op.shape}", style="" if op.calibrated else "yellow"),
            *_time(op.ms, prediction),
            *(Text(_ms(ms)) for ms in _parts([op])),
            Text(str(op.threads), style="bold red" if alone else ""),
            Text(op.bound, style="magenta" if op.bound == "memory" else ""),
        )
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=Text(title), title_justify="left", box=None)
    table.add_column("")
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _time(ms: float, prediction: LatencyPrediction) -> tuple[Text, Text]:
    return Text(_ms(ms), style="bold"), Text(f"{ms / prediction.ms:.1%}")


def _total(ops: Sequence[OpLatency]) -> float:
    return sum(op.ms for op in ops)


def _parts(ops: Sequence[OpLatency]) -> tuple[float, float]:
    """Milliseconds of issuing, with waking the threads, and of memory."""
    return sum(op.compute_ms + op.wake_ms for op in ops), sum(op.memory_ms for op in ops)


def _ms(ms: float) -> str:
    """Three digits of what is large, two places of what is small."""
    return f"{ms:.0f}" if ms >= 100 else f"{ms:.1f}" if ms >= 10 else f"{ms:.2f}"
