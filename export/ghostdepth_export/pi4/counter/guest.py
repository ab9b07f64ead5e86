"""Runs in the emulated Pi, under the plugin: invokes two graphs and marks what is to be counted.

guest.py PROBE.tflite PROBE_OPS MODEL.tflite WARM_UPS

Prints the runtime's version. Only what Python 3.9, numpy and tflite_runtime have may be used here.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
import tflite_runtime
from tflite_runtime.interpreter import Interpreter

# As in counter.c.
_GETPRIORITY, _MARK = 141, 0x67686F73
_LEARN, _LEARNED, _BEGIN, _END = range(4)
_libc = ctypes.CDLL(None)


def _mark(command: int, *arguments: int) -> None:
    words = (0, _MARK, command, *arguments)
    _libc.syscall(ctypes.c_long(_GETPRIORITY), *map(ctypes.c_long, words))


def _counted(interpreter: Any) -> None:
    _mark(_BEGIN)
    interpreter.invoke()
    _mark(_END)


def _load(path: str) -> Any:
    """One thread; the inputs are the same integers, 0..255, on every call."""
    interpreter = Interpreter(path, num_threads=1)
    interpreter.allocate_tensors()
    random = np.random.RandomState(0)
    for entry in interpreter.get_input_details():
        values = random.randint(0, 256, entry["shape"])
        interpreter.set_tensor(entry["index"], values.astype(entry["dtype"]))
    return interpreter


def _runtime_addresses() -> tuple[int, int]:
    """Where the runtime's library is in memory: first address, end."""
    with open("/proc/self/maps") as maps:
        ranges = [line.split()[0] for line in maps if "_interpreter_wrapper" in line]
    return int(ranges[0].split("-")[0], 16), int(ranges[-1].split("-")[1], 16)


def main(probe_path: str, probe_ops: str, model_path: str, warm_ups: str) -> None:
    """Learns from the probe how ops are called, proves it, then has the model counted."""
    probe = _load(probe_path)
    probe.invoke()
    _mark(_LEARN)
    probe.invoke()
    _mark(_LEARNED, int(probe_ops), *_runtime_addresses())
    _counted(probe)
    model = _load(model_path)
    for _ in range(int(warm_ups)):
        model.invoke()
    _counted(model)
    print(tflite_runtime.__version__)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (RuntimeError, ValueError) as error:
        sys.exit(" ".join(str(error).split()))
