"""The texts and figures that the printed table, the page and the other reports share."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Optional

from bench_depth.accuracy.records import Accuracy
from bench_depth.core.screen import counted
from bench_depth.machine.board import Board
from bench_depth.results.advice import ADVICE
from bench_depth.results.predicted_latency import PredictedLatency
from bench_depth.results.records import STAGES, Context, ModelRecord, Results, labels
from bench_depth.timing.comparison import Comparison
from bench_depth.timing.profiling import Profile, by_kind, costliest

# Where XNNPACK takes more than this fraction of the time, the ops are listed without it.
_MOST = 0.5
_OPTION = re.compile(r"(--[a-z][a-z-]*)")
KIND_HEADS = ("kind", "ops", "ms", "fraction")
STAGE_HEADS = ("ms", "median", "p90", "p95", "p99", "mean", "sd", "min", "max")
RATE_NOTE = "FPS: frames per second from photo to depth, pre- and postprocessing included"
TOTAL_NOTE = (
    "total is a whole frame, from photo to depth. It can take longer than the sum of its stages: "
    "invoke is timed in runs that follow each other directly, so that its data is still in the "
    "caches; in a frame the photo and the depth map have displaced it"
)


def summary(results: Results) -> tuple[list[str], list[list[str]]]:
    """The comparison of the models: the headings, and one row per model.

    The first column is the file; the rest are figures.
    """
    records = results.models
    heads = ["model", "FPS", "median ms", "p95", "MB"]
    columns = [[label] for label in labels(results)]
    for row, record in zip(columns, records):
        timed = record.invoke.statistics
        frames = rate(record)
        row += ["-" if frames is None else figure(frames), figure(timed.median), figure(timed.p95)]
        row.append(f"{record.bytes / 1e6:.1f}")
    if any(record.comparison for record in records):
        heads += ["ratio", "95 % interval"]
        for row, record in zip(columns, records):
            row.extend(ratio_cells(record.comparison))
    if any(record.accuracy for record in records):
        heads += ["RMSE", "si-RMSE", "delta_1", "score"]
        for row, record in zip(columns, records):
            row.extend(_quality(record.accuracy))
    return heads, columns


def figure(value: float) -> str:
    """About three figures, never in scientific notation."""
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 1000 else f"{value:.0f}"


def rate(record: ModelRecord) -> Optional[float]:
    """Frames per second from photo to depth, from the median; None where frames were not timed."""
    return None if record.total is None else 1000 / max(record.total.statistics.median, 1e-6)


def short_names(results: Results) -> list[str]:
    """The models' variants, like `int8.tflite`, where these tell them apart; else `labels`."""
    names = [f"{r.contract.variant}{Path(r.file).suffix}" for r in results.models if r.contract]
    networks = {r.contract.name for r in results.models if r.contract}
    distinct = len(set(names)) == len(results.models) and len(networks) == 1
    return names if distinct else labels(results)


def threads_text(record: ModelRecord, context: Context) -> str:
    """Like `4 threads`."""
    threads = record.threads or context.threads
    return counted(threads, "thread")


def runtime_text(record: ModelRecord) -> str:
    """Like `tflite_runtime 2.5.0.post1, XNNPACK off`."""
    runtime = record.runtime
    return f"{runtime.name} {runtime.version}{xnnpack_text(runtime.xnnpack, runtime.xnnpack_ops)}"


def xnnpack_text(xnnpack: Optional[bool], ops: Optional[tuple[int, int]]) -> str:
    """Like `, XNNPACK runs 156 of 156 ops`; empty where nothing is known.

    Args:
        xnnpack: Whether XNNPACK runs at least a part of the graph; None where that is unknown.
        ops: Number of ops that it runs, and of all ops; None where that is unknown.
    """
    if xnnpack and ops is not None:
        return f", XNNPACK runs {ops[0]} of {ops[1]} ops"
    return {True: ", XNNPACK delegate on", False: ", XNNPACK off", None: ""}[xnnpack]


def board_name(board: Board) -> str:
    """Like `Raspberry Pi 4 Model B Rev 1.4`."""
    return board.model or "unknown board"


def cpu_text(board: Board) -> str:
    """Like `4x Cortex-A72`."""
    return f"{board.cores}x {board.cpu or 'unknown CPU'}"


def cpu_facts(board: Board) -> list[str]:
    """`cpu_text`, then the clock and the governor where they are known."""
    facts = [cpu_text(board)]
    if board.max_clock_mhz is not None:
        facts.append(f"up to {board.max_clock_mhz:.0f} MHz")
    if board.governor is not None:
        facts.append(f"governor {board.governor}")
    return facts


def runtimes_text(results: Results) -> str:
    """The runtimes of a results file, each once."""
    return ", ".join(sorted({f"{r.runtime.name} {r.runtime.version}" for r in results.models}))


def stage_rows(record: ModelRecord) -> list[list[str]]:
    """One row under `STAGE_HEADS` per stage that was measured."""
    rows = []
    for stage in STAGES:
        timing = getattr(record, stage)
        if timing is not None:
            s = timing.statistics
            values = (s.median, s.p90, s.p95, s.p99, s.mean, s.sd, s.minimum, s.maximum)
            rows.append([stage, *map(figure, values)])
    return rows


def profile_views(profile: Profile) -> list[tuple[str, Profile]]:
    """The profile as run and, where XNNPACK ran ops, the one without it; each with its title."""
    how = counted(len(profile.ops), "op")
    if profile.method == "onnxruntime":
        how += " by ONNX Runtime's profiler, which slows them"
    if profile.plain is None:
        return [(_sum_text(how, profile), profile)]
    plain = profile.plain
    run = f"XNNPACK runs {profile.delegated} of {len(plain.ops)} ops"
    without = f"{counted(len(plain.ops), 'op')} without XNNPACK"
    return [(_sum_text(run, profile), profile), (_sum_text(without, plain), plain)]


def kind_rows(profile: Profile) -> list[list[str]]:
    """One row under `KIND_HEADS` per kind of op, the longest first."""
    return [
        [group.kind, str(group.count), f"{group.ms:.3f}", _percent(group.share)]
        for group in by_kind(profile)
    ]


def op_rows(profile: Profile, count: int) -> tuple[list[str], list[list[str]]]:
    """The ops that take longest: the headings, and one row per op.

    The ops are those of the file as run, or without XNNPACK where that takes most of the time.
    """
    head = "longest ops"
    spent = math.fsum(group.share for group in by_kind(profile) if group.kind == "XNNPACK")
    if profile.plain is not None and spent > _MOST:
        profile, head = profile.plain, "longest ops without XNNPACK"
    rows = [
        [
            f"{op.index} {op.kind} {op.name}".rstrip(),
            *(op.shape, f"{op.ms:.3f}", f"{op.error_ms:.3f}", _percent(op.share)),
        ]
        for op in costliest(profile, count)
    ]
    return [head, "output", "ms", "+-", "fraction"], rows


def _sum_text(what: str, profile: Profile) -> str:
    return (
        f"{what}: {figure(profile.sum_ms)} ms, {counted(profile.runs, 'run')}; a run without "
        f"timing ops {figure(profile.untimed_ms)} ms"
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"


def machine_text(predicted: PredictedLatency) -> str:
    """The machine that a latency was predicted for, and what it was predicted from."""
    threads = counted(predicted.threads, "thread")
    return (
        f"{predicted.board}, {predicted.runtime}, {threads}, {predicted.clock_mhz:.0f} MHz, from "
        f"{predicted.method}"
    )


def predicted_notes(results: Results) -> list[str]:
    """Predicted latencies, one sentence per machine, kept apart from what was measured."""
    machines: dict[str, list[str]] = {}
    for name, record in zip(labels(results), results.models):
        found = record.predicted
        if found is not None:
            band = f"{figure(found.low_ms)} to {figure(found.high_ms)}"
            times = machines.setdefault(machine_text(found), [])
            times.append(f"{name} {figure(found.ms)} ms ({band})")
    return [
        f"predicted, not measured, for {machine}: {', '.join(times)}"
        for machine, times in machines.items()
    ]


def ratio_cells(comparison: Optional[Comparison]) -> list[str]:
    """The ratio to the reference and its interval; without a comparison, the reference itself."""
    if comparison is None:
        return ["1", "reference"]
    if comparison.low is None or comparison.high is None:
        return [f"{comparison.ratio:.3f}", "-"]
    return [f"{comparison.ratio:.3f}", f"{comparison.low:.3f} .. {comparison.high:.3f}"]


def turns_text(context: Context) -> str:
    """Whether the models that are compared took turns."""
    return "taking turns" if context.interleaved else "one after the other"


def notices(results: Results, command: str = "bench-depth") -> list[tuple[str, str]]:
    """The codes of all warnings, each with its advice and, unless all have it, the models.

    Args:
        results: The results.
        command: Name of the command that was run. In the advice for another one than bench-depth,
            whose options it names, they are named as that program's.
    """
    found = []
    for code, advice in ADVICE.items():
        names = [name for name, r in zip(labels(results), results.models) if code in r.warnings]
        if names:
            which = "" if len(names) == len(results.models) else f" ({', '.join(names)})"
            owner = "" if command == "bench-depth" else "bench-depth's "
            found.append((code, _OPTION.sub(rf"{owner}\1", advice) + which))
    return found


def _quality(accuracy: Optional[Accuracy]) -> list[str]:
    if accuracy is None:
        return ["-"] * 4
    mean = accuracy.mean
    quality = [f"{mean.rmse:.3f}", f"{mean.si_rmse:.4f}", f"{mean.delta_1:.4f}"]
    return [*quality, figure(accuracy.score)]
