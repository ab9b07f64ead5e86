"""The committed counts of the released .tflite files, and the check that they have not grown.

    python benchmarks/instructions/baseline.py [--check] [--models FOLDER] [--baseline FILE]

Without --models the files of the released checkpoints are exported first. With --check nothing is
written, and the exit code is 1 when a model's instructions have grown by more than 1 %.
"""

from __future__ import annotations

import argparse
import difflib
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from bench_depth.core.errors import THRESHOLD_FAILED, UserError, exit_code
from bench_depth.core.screen import say
from ghostdepth_export.convert.export import export
from ghostdepth_export.convert.formats import FORMATS
from ghostdepth_export.pi4.counter import (
    ModelCounts,
    OpCounts,
    by_type,
    count,
    read_counts,
    write_counts,
)
from ghostdepth_export.pi4.emulator import build_root
from ghostdepth_train.csv_files import markdown_table

ROOT = Path(__file__).resolve().parents[2]
CHECKPOINTS = tuple(sorted(path.parent for path in ROOT.glob("models/*/model.safetensors")))
BASELINE = Path(__file__).resolve().parent / "baseline.json"
MOST_GROWTH = 0.01
# How many ops are named for one model.
_NAMED = 10


def changed_ops(old: ModelCounts, new: ModelCounts) -> list[str]:
    """The ops that made a model longer, one line each, the largest first.

    Ops are paired by their types in order; names of tensors change with every export.
    """
    found = sorted(_changes(old.ops, new.ops), reverse=True)
    lines = [line for _, line in found[:_NAMED]]
    return lines + ([f"and {len(found) - _NAMED} smaller ones"] if len(found) > _NAMED else [])


def _changes(old: list[OpCounts], new: list[OpCounts]) -> Iterator[tuple[int, str]]:
    types = [[op.name for op in ops] for ops in (old, new)]
    for tag, a, a_end, b, b_end in difflib.SequenceMatcher(None, *types, False).get_opcodes():
        if tag != "equal":
            for op in new[b:b_end]:
                figure = op.counts.instructions
                yield figure, f"added op {_label(op)}: {figure:,} instructions"
            continue
        for before, op in zip(old[a:a_end], new[b:b_end], strict=True):
            was, figure = before.counts.instructions, op.counts.instructions
            if figure > was * (1 + MOST_GROWTH):
                line = f"grown op {_label(op)}: {was:,} -> {figure:,} instructions"
                yield figure - was, line


def _label(op: OpCounts) -> str:
    return f"{op.index} {op.name} {op.shape} ({op.output})"


def compare(baseline: list[ModelCounts], counted: list[ModelCounts]) -> tuple[list[str], bool]:
    """The report about every model, and whether none has grown too much.

    Raises:
        UserError: A counted file is not in the baseline.
    """
    before, after = ({model.file: model for model in models} for models in (baseline, counted))
    if strange := ", ".join(sorted(after.keys() - before.keys())):
        raise UserError(f"the baseline has no {strange}; make the baseline anew")
    lines, passed = [], True
    for name, new in after.items():
        old = before[name]
        was, now = old.total.instructions, new.total.instructions
        grown = now > was * (1 + MOST_GROWTH)
        verdict = "ok"
        if grown:
            verdict, passed = f"FAILED, at most {MOST_GROWTH:+.0%}", False
        elif now < was * (1 - MOST_GROWTH):
            verdict = "ok, and less: make the baseline anew"
        lines.append(
            f"{name}: {was:,} -> {now:,} instructions ({now / was - 1:+.2%}), "
            f"L1D misses {_step(old, new, 'l1d_misses')}, "
            f"L2 misses {_step(old, new, 'l2_misses')}, "
            f"write-backs {_step(old, new, 'writebacks')}: {verdict}"
        )
        if grown:
            lines += [f"  {line}" for line in changed_ops(old, new)]
        for what in ("runtime", "cpu", "qemu"):
            theirs, ours = getattr(old, what), getattr(new, what)
            if theirs != ours:
                lines.append(f"  the baseline's {what} is {theirs}, this one's {ours}")
    return lines, passed


def _step(old: ModelCounts, new: ModelCounts, figure: str) -> str:
    return f"{getattr(old.total, figure):,} -> {getattr(new.total, figure):,}"


def table() -> str:
    """The baseline as a table of Markdown."""
    heads = ["file", *(f"M {name}" for name in ("instructions", "loads", "stores", "issue cycles"))]
    heads += ["k L1D misses", "k L2 misses", "k write-backs", "where the instructions are"]
    models, rows = read_counts(BASELINE), []
    for model in models:
        total = model.total
        millions = [total.instructions, total.loads, total.stores, total.cycles]
        thousands = [total.l1d_misses, total.l2_misses, total.writebacks]
        fractions = [
            f"{name} {counts.instructions / total.instructions:.0%}"
            for name, (_, counts) in list(by_type(model.ops).items())[:3]
        ]
        figures = [f"{n / 1e6:.1f}" for n in millions] + [f"{n / 1e3:.0f}" for n in thousands]
        rows.append([model.file, *figures, ", ".join(fractions)])
    first = models[0]
    note = f"TensorFlow Lite {first.runtime}, one thread, QEMU {first.qemu} -cpu {first.cpu}."
    return f"{markdown_table(heads, rows, (0, 8))}\n\n{note}"


def count_all(folder: Path) -> list[ModelCounts]:
    """Counts every .tflite file of a folder, by name.

    Raises:
        UserError: There is none, or one cannot be counted.
    """
    files = sorted(folder.glob("*.tflite"))
    if not files:
        raise UserError(f"{folder} holds no .tflite file")
    root = build_root("bullseye", partial(say, error=True))
    counted = []
    for file in files:
        say(f"counting {file.name}", error=True)
        counted.append(count(file, root))
    return counted


def main(arguments: list[str] | None = None) -> int:
    """Makes the baseline or compares with it; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--models", type=Path, help="folder of exported files")
    parser.add_argument("--baseline", type=Path, default=BASELINE)
    options = parser.parse_args(arguments)
    baseline = read_counts(options.baseline) if options.check else []
    with tempfile.TemporaryDirectory() as temporary:
        if options.models is None:
            formats = [name for name, kind in FORMATS.items() if kind.suffix == ".tflite"]
            calibration = ROOT / "samples"
            for checkpoint in CHECKPOINTS:
                out = Path(temporary)
                export(checkpoint, out, formats=formats, calibration=calibration)
        counted = count_all(options.models or Path(temporary))
    if not options.check:
        write_counts(options.baseline, counted)
        print(f"{options.baseline} written; python benchmarks/tables.py makes its table anew")
        return 0
    lines, passed = compare(baseline, counted)
    print("\n".join(lines))
    return 0 if passed else THRESHOLD_FAILED


if __name__ == "__main__":
    sys.exit(exit_code("baseline.py", main))
