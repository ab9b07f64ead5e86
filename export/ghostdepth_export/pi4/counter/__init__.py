"""Counts the instructions of one invocation of a model file on an emulated Cortex-A72, by op."""

from ghostdepth_export.pi4.counter.counts import count, count_file
from ghostdepth_export.pi4.counter.listing import InstructionCounts, ThreadCounts
from ghostdepth_export.pi4.counter.records import (
    ModelCounts,
    OpCounts,
    by_type,
    little_delegated,
    read_counts,
    write_counts,
)
from ghostdepth_export.pi4.counter.runtimes import (
    RUNTIMES,
    CountedRuntime,
    choose_runtime,
    find_runtime,
)
from ghostdepth_export.pi4.counter.threads import count_threads

__all__ = [
    "RUNTIMES",
    "CountedRuntime",
    "InstructionCounts",
    "ModelCounts",
    "OpCounts",
    "ThreadCounts",
    "by_type",
    "choose_runtime",
    "count",
    "count_file",
    "count_threads",
    "find_runtime",
    "little_delegated",
    "read_counts",
    "write_counts",
]
