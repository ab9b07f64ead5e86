"""A model file in a process of its own, so that a crash or hang of its runtime is one error line.

The child reads photos from its standard input and answers with depth maps. It imports
`bench_depth` alone: that is quick, and no thread of torch is forked.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import struct
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.core.json_text import dumps, loads
from bench_depth.machine.guard import CRASHES, HANG, end_with_parent
from numpy.typing import NDArray

_CODE = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from ghostdepth_train.model_process import serve
serve(sys.argv[2], int(sys.argv[3]))
"""
_SIZE = struct.Struct("<II")
# Length of an answer, and exit code of the error that it is; 0 for none.
_HEAD = struct.Struct("<Ii")
# Length of an answer of text: facts about the model, or an error line.
_LONGEST_TEXT = 1 << 20


class ModelProcess:
    """A loaded model in a child process, which ends with this object.

    Args:
        path: A .tflite or .onnx file.
        threads: Number of threads of its runtime.

    Attributes:
        relative: Whether its depth has no unit.
        quantity: Quantity of its output, see `bench_depth.model.signature.Signature`.
        warnings: A line for each assumption about the model, by the code of its warning.

    Raises:
        UserError: It cannot be loaded, or its runtime crashed or did not load it within `HANG`.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self._path = path
        process = subprocess.Popen(
            [sys.executable, "-c", _CODE, json.dumps(sys.path), str(path), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is this process's to answer.
            start_new_session=True,
        )
        self._process = process
        weakref.finalize(self, _end, process)
        facts: dict[str, Any] = loads(self._answer())
        self.relative, self.quantity = bool(facts["relative"]), str(facts["quantity"])
        self.warnings: dict[str, str] = facts["warnings"]

    def predict(self, photo: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Predicts the depth of one photo by itself, see `bench_depth.accuracy.evaluation.predict`.

        Args:
            photo: HxWx3 uint8 RGB.

        Returns:
            HxW float32.

        Raises:
            UserError: The model cannot run, or its runtime crashed or ran longer than `HANG`.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(_SIZE.pack(*photo.shape[:2]))
            self._process.stdin.write(photo.tobytes())
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        size = photo.shape[0] * photo.shape[1]
        return np.frombuffer(self._answer(4 * size), np.float32).reshape(photo.shape[:2])

    def _answer(self, size: int | None = None) -> bytes:
        """The next answer, of `size` bytes or, if None, of text."""
        deadline = time.monotonic() + HANG
        length, code = _HEAD.unpack(self._read(_HEAD.size, deadline))
        if length > _LONGEST_TEXT if code or size is None else length != size:
            raise UserError(f"{self._path}: its process gives no answer that is one", MODEL_FAILED)
        answer = self._read(length, deadline)
        if code:
            raise UserError(answer.decode(errors="replace"), code)
        return answer

    def _read(self, size: int, deadline: float) -> bytes:
        assert self._process.stdout is not None
        descriptor, parts = self._process.stdout.fileno(), bytearray()
        while len(parts) < size:
            left = max(0.0, deadline - time.monotonic())
            if not select.select([descriptor], [], [], left)[0]:
                self._process.kill()
                raise UserError(
                    f"the runtime hung while it worked on {self._path} and was killed; export the "
                    "file again",
                    MODEL_FAILED,
                )
            part = os.read(descriptor, size - len(parts))
            if not part:
                raise self._ended()
            parts += part
        return bytes(parts)

    def _ended(self) -> UserError:
        status = -self._process.wait()
        how = CRASHES.get(status, f"ended (exit status {-status})")
        return UserError(
            f"the runtime {how} while it worked on {self._path}; export the file again",
            MODEL_FAILED,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for stream in (process.stdin, process.stdout):
        # A photo that nobody took may be in the buffer.
        with contextlib.suppress(BrokenPipeError):
            if stream is not None:
                stream.close()
    process.wait()


def serve(path: str, threads: int) -> None:
    """Loads a model and answers photos until standard input ends; what the child process does."""
    end_with_parent()
    # Runtimes print; the answers must be alone on their stream.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        _serve(Path(path), threads, sys.stdin.buffer, answers)
    except UserError as error:
        _send(answers, str(error).encode(), error.exit_code)


def _serve(path: Path, threads: int, photos: BinaryIO, answers: BinaryIO) -> None:
    from bench_depth.accuracy.evaluation import predict
    from bench_depth.model.contract import read_contract
    from bench_depth.model.description import describe
    from bench_depth.model.runtimes import choose
    from bench_depth.model.signature import check_signature
    from bench_depth.results.advice import assumptions

    model = choose(path).load(path, threads)
    contract, described = read_contract(path), describe(path)
    signature = check_signature(path, model, contract, described)
    facts = {
        "relative": signature.relative,
        "quantity": signature.quantity,
        "warnings": assumptions(path.name, contract, described),
    }
    _send(answers, dumps(facts).encode())
    while size := photos.read(_SIZE.size):
        height, width = _SIZE.unpack(size)
        photo = np.frombuffer(photos.read(height * width * 3), np.uint8)
        depth = predict(model, signature, photo.reshape(height, width, 3))
        _send(answers, np.ascontiguousarray(depth, np.float32).tobytes())


def _send(answers: BinaryIO, answer: bytes, code: int = 0) -> None:
    answers.write(_HEAD.pack(len(answer), code) + answer)
    answers.flush()
