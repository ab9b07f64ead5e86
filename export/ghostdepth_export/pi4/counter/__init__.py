"""Counts the instructions of one invocation of a .tflite file on an emulated Cortex-A72, by op."""

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
