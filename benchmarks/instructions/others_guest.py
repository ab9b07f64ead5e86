"""Runs in the emulated Pi, under the counter's plugin: has one invocation of a network counted.

others_guest.py RUNTIME MODEL

RUNTIME is opencv (an .onnx file), ncnn (a .param file, its .bin beside it) or mnn (a .mnn file).
Prints JSON: the version, and the sum and the number of the values of the output.
"""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

# As in ops.h.
_GETPRIORITY, _MARK = 141, 0x67686F73
_BEGIN, _END = 2, 3
_WARM_UPS = 2
_HEIGHT, _WIDTH = 480, 640
_libc = ctypes.CDLL(None)
_Invoke = Callable[[], Any]


def _mark(command: int) -> None:
    _libc.syscall(*map(ctypes.c_long, (_GETPRIORITY, 0, _MARK, command)))


def _picture(dtype: Any) -> Any:
    return np.random.RandomState(0).randint(0, 256, (1, _HEIGHT, _WIDTH, 3)).astype(dtype)


def _opencv(path: str) -> tuple[str, _Invoke]:
    import cv2

    cv2.setNumThreads(1)
    network = cv2.dnn.readNetFromONNX(path)
    picture = _picture(np.uint8 if "int8" in path else np.float32)

    def invoke() -> Any:
        network.setInput(picture)
        return network.forward()

    return cv2.__version__, invoke


def _ncnn(path: str) -> tuple[str, _Invoke]:
    import ncnn

    network = ncnn.Net()
    network.opt.num_threads = 1
    network.load_param(path)
    network.load_model(path[: -len("param")] + "bin")
    # A Mat does not keep the array whose memory it is in.
    values = _picture(np.float32)[0]
    picture = ncnn.Mat(values).clone()

    def invoke() -> Any:
        extractor = network.create_extractor()
        extractor.input(network.input_names()[0], picture)
        return extractor.extract(network.output_names()[0])[1]

    return ncnn.__version__, invoke


def _mnn(path: str) -> tuple[str, _Invoke]:
    import MNN

    interpreter = MNN.Interpreter(path)
    session = interpreter.createSession({"numThread": 1})
    entry, picture = interpreter.getSessionInput(session), _picture(np.float32)
    kind = MNN.Halide_Type_Float
    entry.copyFrom(MNN.Tensor(picture.shape, kind, picture, entry.getDimensionType()))
    output = interpreter.getSessionOutput(session)
    shape = output.getShape()
    zeros = np.zeros(shape, np.float32)
    host = MNN.Tensor(shape, kind, zeros, output.getDimensionType())

    def invoke() -> Any:
        interpreter.runSession(session)
        output.copyToHostTensor(host)
        return host.getNumpyData()

    return MNN.version(), invoke


def main(runtime: str, path: str) -> None:
    """Warms up, has one invocation counted, and prints what came out."""
    version, invoke = {"opencv": _opencv, "ncnn": _ncnn, "mnn": _mnn}[runtime](path)
    for _ in range(_WARM_UPS):
        invoke()
    _mark(_BEGIN)
    output = invoke()
    _mark(_END)
    depth = np.array(output, dtype=np.float64)
    print(json.dumps({"version": version, "sum": float(depth.sum()), "values": depth.size}))


if __name__ == "__main__":
    main(*sys.argv[1:])
