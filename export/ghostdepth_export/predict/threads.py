"""How many threads of the pool TensorFlow Lite 2.5 gives an op."""

from __future__ import annotations

import math

from ghostdepth_export.predict.work import OpWork

# Fewer multiplications do not get a thread of their own.
_MACS_PER_THREAD = 32768
_DEPTHWISE_MACS_PER_THREAD = 8192


def threads_used(op: OpWork, threads: int) -> int:
    """The threads that share the work of one op.

    Args:
        op: From `read_work`.
        threads: Of the interpreter, 1..4.

    Returns:
        1..threads. Matrix products are divided by their size (ruy), depthwise convolutions by
        rows of the output; every other op runs on the calling thread alone.
    """
    if op.name in ("CONV_2D", "FULLY_CONNECTED"):
        wanted = op.macs // _MACS_PER_THREAD
    elif op.name == "DEPTHWISE_CONV_2D":
        wanted = min(op.macs // _DEPTHWISE_MACS_PER_THREAD, math.prod(op.output[:2]))
    else:
        wanted = 1
    return max(1, min(wanted, threads))
