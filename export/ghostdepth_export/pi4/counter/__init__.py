"""Counts what one invocation of a .tflite file executes on an emulated Cortex-A72, op by op."""

from ghostdepth_export.pi4.counter.counts import count
from ghostdepth_export.pi4.counter.listing import InstructionCounts
from ghostdepth_export.pi4.counter.records import (
    ModelCounts,
    OpCounts,
    by_type,
    read_counts,
    write_counts,
)

__all__ = [
    "InstructionCounts",
    "ModelCounts",
    "OpCounts",
    "by_type",
    "count",
    "read_counts",
    "write_counts",
]
