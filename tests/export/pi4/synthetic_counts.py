"""Counts that nothing was emulated for, and graphs to go with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from ghostdepth_export.pi4.counter import InstructionCounts, ModelCounts, OpCounts
from ghostdepth_export.pi4.counter.graph import read_ops
from ghostdepth_export.pi4.counter.listing import NOTHING
from ghostdepth_export.pi4.counter.plugin import CPU
from ghostdepth_export.pi4.latency import OpWork, prediction


def counts(cycles: int, lines: int = 0) -> InstructionCounts:
    """Cycles, and lines of DRAM of which a quarter is written."""
    misses = (lines, lines - lines // 4, lines // 4, 0, 0)
    return InstructionCounts(2 * cycles, 0, 0, 6 * cycles, *misses)


def model_counts(
    ops: Sequence[tuple[str, InstructionCounts]], file: str = "m.tflite"
) -> ModelCounts:
    """A model of these types of ops; nothing outside them."""
    listed = [OpCounts(i, name, f"t{i}", "1x8", each) for i, (name, each) in enumerate(ops)]
    total = sum((each for _, each in ops), NOTHING)
    return ModelCounts(file, "2.5.0.post1", "cortex-a72", "7.2.0", total, NOTHING, listed)


def instruction_counts(*ops: tuple[str, int], file: str = "m.tflite") -> ModelCounts:
    """A model of these types of ops and their numbers of instructions."""
    shared = InstructionCounts(0, 2, 1, 0, 30, 20, 10, 0, 0)
    listed = [
        OpCounts(i, name, f"{{t}}{i}", "1x2", replace(shared, instructions=instructions))
        for i, (name, instructions) in enumerate(ops)
    ]
    total = sum((op.counts for op in listed), NOTHING)
    return ModelCounts(file, "2.5.0", "cortex-a72", "7.2.22", total, NOTHING, listed)


def library_counts(library: str, *ops: OpCounts) -> ModelCounts:
    """A model of these ops in a library; nothing outside them."""
    total = sum((each.counts for each in ops), NOTHING)
    return ModelCounts("m", "9.9", CPU, "7.2.0", total, NOTHING, list(ops), library)


def convolution(depth: int) -> OpWork:
    """1x1, of 1024 pixels, 64 channels, `depth` input channels: of 65,536 depth MACs."""
    weights, picture = (64, 1, 1, depth), (1, 32, 32, depth)
    return OpWork("CONV_2D", "FLOAT32", (1, 32, 32, 64), (picture, weights))


def plain(name: str) -> OpWork:
    """An op without weights."""
    return OpWork(name, "FLOAT32", (1, 8), ((1, 8),))


def count_without_qemu(monkeypatch: pytest.MonkeyPatch, each: InstructionCounts) -> None:
    """Makes every op of every model that is predicted cost the same, at once."""

    def count(model: Path, root: Path, *, cpu: str = CPU) -> ModelCounts:
        return model_counts([(op.name, each) for op in read_ops(model)], model.name)

    monkeypatch.setattr(prediction, "count", count)
    monkeypatch.setattr(prediction, "find_qemu", lambda: None)
    monkeypatch.setattr("ghostdepth_export.pi4.emulator.build_root", lambda *_: Path("root"))
