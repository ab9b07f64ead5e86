"""Where a model's time goes, op by op.

`ops` holds what is found; `run` starts `child` in a process of its own, as what it does inside a
runtime may crash; `tflite` and `onnx` are the two ways to time ops.
"""

from bench_depth.timing.profiling.ops import Group, OpTiming, Profile, by_kind, costliest

__all__ = ["Group", "OpTiming", "Profile", "by_kind", "costliest"]
