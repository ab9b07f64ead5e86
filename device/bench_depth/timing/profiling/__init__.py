"""The time of each op of a model.

`ops` holds the results; `run` starts `child` in a process of its own, as timing ops may crash a
runtime; `tflite` and `onnx` time the ops of each runtime.
"""

from bench_depth.timing.profiling.ops import Group, OpTiming, Profile, by_kind, costliest

__all__ = ["Group", "OpTiming", "Profile", "by_kind", "costliest"]
