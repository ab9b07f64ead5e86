"""Fuzzing with damaged model files: bench-depth must give a result or one clear error line.

    python benchmarks/fuzz/fuzz.py [--seeds 1000] [--first 0] [--results CSV]

Each seed damages a valid file with one of the mutations in `DAMAGE`, even seeds a .tflite, odd
seeds an .onnx, and runs the `bench-depth` command on it in a separate process. Expected is exit
code 0, or 2 or 3 with exactly one line from bench-depth on stderr and no traceback, within a
minute. Anything else is printed with its seed, and the exit code is 1. Totals are written to
`results.csv`.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import csv
import os
import signal
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from bench_depth.commands import cli

ROOT = Path(__file__).resolve().parents[2]
RESULTS = Path(__file__).with_name("results.csv")
TFLITE = ROOT / "device" / "bench_depth" / "models" / "ghostdepth-xxs-int8.tflite"
QUICK = ("--warmup", "0", "--min-runs", "1", "--min-time", "0", "--threads", "1")
LIMIT_S = 60.0
# Values at which parsers often fail: zero, negative, just above a limit, very large.
ODD = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000)
Rng = np.random.Generator


@dataclass(frozen=True)
class Outcome:
    """The result of one run.

    Attributes:
        code: Exit code; None for a run that was killed after `LIMIT_S`, negative for a signal.
        text: Output on stdout and stderr.
    """

    code: int | None
    text: str

    @property
    def kind(self) -> str:
        """`measured`, `refused`, or a description of the failure."""
        if self.code is None:
            return "hang"
        if "Traceback (most recent call last)" in self.text:
            return "traceback"
        if self.code == 0:
            return "measured"
        lines = [line for line in self.text.splitlines() if line.startswith("bench-depth:")]
        if self.code not in (2, 3):
            return f"exit code {self.code}"
        return "refused" if len(lines) == 1 else f"{len(lines)} lines"


def flip(data: bytearray, rng: Rng) -> None:
    """Overwrites a few random bytes."""
    for offset in rng.integers(0, len(data), int(rng.integers(1, 20))):
        data[offset] = int(rng.integers(256))


def flip_head(data: bytearray, rng: Rng) -> None:
    """Overwrites bytes in the first 2 kB, which hold the structure."""
    for offset in rng.integers(0, min(len(data), 2048), int(rng.integers(1, 8))):
        data[offset] = int(rng.integers(256))


def flip_tail(data: bytearray, rng: Rng) -> None:
    """Overwrites bytes in the last quarter, where a .tflite has its tables."""
    start = len(data) * 3 // 4
    for offset in rng.integers(start, len(data), int(rng.integers(1, 60))):
        data[offset] = int(rng.integers(256))


def truncate(data: bytearray, rng: Rng) -> None:
    """Removes the end."""
    del data[int(rng.integers(0, len(data))) :]


def cut_out(data: bytearray, rng: Rng) -> None:
    """Removes a block in the middle."""
    start = int(rng.integers(0, len(data)))
    del data[start : start + int(rng.integers(1, 4096))]


def swap(data: bytearray, rng: Rng) -> None:
    """Swaps two blocks."""
    size = int(rng.integers(4, min(512, len(data) // 4)))
    a, b = (int(n) for n in rng.integers(0, len(data) - size, 2))
    data[a : a + size], data[b : b + size] = data[b : b + size], data[a : a + size]


def odd_numbers(data: bytearray, rng: Rng) -> None:
    """Replaces small numbers, such as lengths and axes, with values of `ODD`.

    Numbers are aligned 32-bit words in a .tflite, and varints below 128 in an .onnx.
    """
    if data[4:8] != b"TFL3":
        small = np.flatnonzero((np.frombuffer(bytes(data), np.uint8) - 1) < 127)
        # From the end, because a longer varint moves everything behind it.
        for offset in sorted(rng.choice(small, int(rng.integers(1, 4)), replace=False))[::-1]:
            data[offset : offset + 1] = varint(ODD[int(rng.integers(len(ODD)))])
        return
    words = np.frombuffer(bytes(data[: len(data) // 4 * 4]), "<u4")
    small = np.flatnonzero((words > 0) & (words < 4096))
    for offset in rng.choice(small, min(len(small), int(rng.integers(1, 6)))):
        struct.pack_into("<I", data, int(offset) * 4, ODD[int(rng.integers(len(ODD)))])


def varint(number: int) -> bytes:
    """Encodes a number as a protobuf varint: 7 bits per byte, lowest first."""
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])


def splice(data: bytearray, rng: Rng) -> None:
    """Inserts random bytes."""
    start = int(rng.integers(0, len(data)))
    data[start:start] = rng.bytes(int(rng.integers(1, 64)))


def zero(data: bytearray, rng: Rng) -> None:
    """Zeroes a block, as after a full disk."""
    start = int(rng.integers(0, len(data)))
    stop = min(len(data), start + int(rng.integers(1, 65536)))
    data[start:stop] = bytes(stop - start)


DAMAGE: tuple[Callable[[bytearray, Rng], None], ...] = (
    flip,
    flip_head,
    flip_tail,
    truncate,
    cut_out,
    swap,
    odd_numbers,
    splice,
    zero,
)


def damaged(sound: bytes, seed: int) -> tuple[bytes, str]:
    """A damaged copy, and the name of the mutation."""
    rng = np.random.default_rng(seed)
    # Seeds alternate between the two files; pairs of seeds cycle through the mutations.
    damage = DAMAGE[seed // 2 % len(DAMAGE)]
    data = bytearray(sound)
    damage(data, rng)
    return bytes(data), damage.__name__


def run(model: Path) -> Outcome:
    """Runs the command on one file in a separate process group."""
    with tempfile.TemporaryFile() as stream:
        child = os.fork()
        if child == 0:
            _child(model, stream.fileno())
        deadline = time.monotonic() + LIMIT_S
        status = None
        while status is None and time.monotonic() < deadline:
            done, code = os.waitpid(child, os.WNOHANG)
            status = code if done else None
            time.sleep(0.005)
        if status is None:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
        stream.seek(0)
        text = stream.read().decode(errors="replace")
    return Outcome(None if status is None else os.waitstatus_to_exitcode(status), text)


def _child(model: Path, stream: int) -> None:
    code = 70
    try:
        os.setsid()
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        code = cli.main(["--model", str(model), *QUICK])
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def small_onnx() -> bytes:
    """A convolution and a resize, with every kind of field that the file of a depth network has."""
    import onnx
    from onnx import TensorProto, helper

    weight = np.random.default_rng(0).normal(size=(1, 3, 3, 3)).astype(np.float32)
    sizes = np.array([1, 1, 48, 64], np.int64)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["rgb", "weight"], ["small"], pads=[1, 1, 1, 1]),
            helper.make_node("Resize", ["small", "", "", "sizes"], ["depth"], mode="linear"),
        ],
        "fuzz",
        [helper.make_tensor_value_info("rgb", TensorProto.FLOAT, [1, 3, 24, 32])],
        [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, 1, 48, 64])],
        [
            onnx.numpy_helper.from_array(weight, "weight"),
            onnx.numpy_helper.from_array(sizes, "sizes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return model.SerializeToString()


def fuzz(seeds: range, progress: Callable[[int], None] = lambda _: None) -> list[tuple[str, ...]]:
    """Runs the seeds.

    Returns:
        (kind of file, mutation, kind of outcome, seed, output) for each seed.
    """
    # Imported once instead of in every child; onnxruntime is left out because it starts threads.
    import bench_depth.commands.bench  # noqa: F401

    with contextlib.suppress(ImportError):
        import ai_edge_litert.interpreter  # noqa: F401

    sound = (("tflite", TFLITE.read_bytes()), ("onnx", small_onnx()))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in seeds:
            kind, data = sound[seed % 2]
            broken, damage = damaged(data, seed)
            path = Path(folder) / f"m.{kind}"
            path.write_bytes(broken)
            outcome = run(path)
            rows.append((kind, damage, outcome.kind, str(seed), outcome.text))
            progress(seed)
    return rows


def main() -> int:
    """Runs the seeds, prints the totals and every failure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    seeds = range(options.first, options.first + options.seeds)
    rows = fuzz(seeds, lambda seed: print(f"\rseed {seed}", end="", file=sys.stderr))
    counts = collections.Counter(row[:3] for row in rows)
    with options.results.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("file", "damage", "outcome", "seeds"))
        writer.writerows((*key, count) for key, count in sorted(counts.items()))
    print()
    for (kind, damage, outcome), count in sorted(counts.items()):
        print(f"{kind:8}{damage:14}{outcome:14}{count:6}")
    failures = [row for row in rows if row[2] not in ("measured", "refused")]
    for kind, damage, outcome, seed, text in failures:
        print(f"\nseed {seed} ({kind}, {damage}): {outcome}\n{text}")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
