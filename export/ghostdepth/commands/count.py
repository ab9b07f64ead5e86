"""The command that counts instructions: count."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from bench_depth.core.bounds import require_bounds
from bench_depth.core.screen import say

from ghostdepth import model_files
from ghostdepth.commands.app import app, output_file

if TYPE_CHECKING:
    from ghostdepth_export.pi4.counter import InstructionCounts, ModelCounts

_FIGURES = (
    "instructions",
    "fraction",
    "loads",
    "stores",
    "issue cycles",
    "L1D misses",
    "L2 misses",
    "write-backs",
)


@app.command()
def count(
    models: Annotated[
        list[Path], typer.Argument(help=".tflite or .onnx files, or names of released models.")
    ],
    runtime: Annotated[
        str | None,
        typer.Option(
            help="2.5 (TensorFlow Lite), litert or onnxruntime; the default is 2.5 for .tflite "
            "files, onnxruntime for .onnx files."
        ),
    ] = None,
    json: Annotated[
        Path | None, typer.Option(help="JSON file for all counts.", callback=output_file)
    ] = None,
    top: Annotated[int, typer.Option(help="Number of ops to print.")] = 12,
) -> None:
    """Count the instructions and cache misses of each op on an emulated Cortex-A72."""
    from ghostdepth_export.pi4.counter import write_counts

    require_bounds(top=top)
    counted = model_files.count(
        models,
        runtime=runtime,
        on_count=lambda counts: _print(counts, top),
        log=lambda line: say(line, error=True),
    )
    if json is not None:
        write_counts(json, counted)


def _print(model: ModelCounts, top: int) -> None:
    from ghostdepth_export.host.screen import Screen, cell
    from ghostdepth_export.pi4.counter import RUNTIMES, by_type, little_delegated
    from rich.table import Table

    def row(label: str, counts: InstructionCounts) -> list[str]:
        fraction = f"{counts.instructions / model.total.instructions:.1%}"
        figures = (
            counts.loads,
            counts.stores,
            round(counts.cycles),
            counts.l1d_misses,
            counts.l2_misses,
            counts.writebacks,
        )
        return [label, f"{counts.instructions:,}", fraction, *(f"{n:,}" for n in figures)]

    types = Table(title=cell(f"{model.file} by type of op"), title_justify="left", box=None)
    ops = Table(title=cell("the ops with most instructions"), title_justify="left", box=None)
    for table in (types, ops):
        table.add_column("")
        for name in _FIGURES:
            table.add_column(name, justify="right")
    for name, (number, counts) in by_type(model.ops).items():
        types.add_row(*row(f"{number} {name}", counts))
    types.add_row(*row("outside the ops", model.outside))
    types.add_row(*row("total", model.total))
    for op in sorted(model.ops, key=lambda op: -op.counts.instructions)[:top]:
        ops.add_row(*row(f"{op.index} {op.name} {op.shape}".rstrip(), op.counts))

    # Wide enough for every column: a table in a file or a pipe must not be truncated.
    console = Screen(pipe_width=145, highlight=False)
    console.print(
        f"counts on an emulated Cortex-A72, {RUNTIMES[model.library].label} "
        f"{model.runtime.partition('.post')[0]}, one thread: these are not times"
    )
    console.print(types)
    if top > 0:
        console.print(ops)
    kept = {name: counts.instructions for name, (_, counts) in by_type(model.kept).items()}
    warning = little_delegated(kept, model.total.instructions, "instructions")
    if warning:
        console.print(cell(f"warning: {warning}", style="yellow"))
