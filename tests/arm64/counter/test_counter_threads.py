"""The plugin that tells what each thread does, on programs with two threads."""

from __future__ import annotations

from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from ghostdepth_export.pi4.counter import ThreadCounts, count, count_threads
from ghostdepth_export.pi4.counter.graph import probe
from ghostdepth_export.pi4.counter.plugin import THREADS

from tests.arm64.conftest import need
from tests.arm64.counter.assembled import run_under

# A round of a loop has one instruction with vector registers. The flag at 64 says that the second
# thread has ended, the word at 128 how many pieces were
# taken, the flag at 192 that the work may begin.
PROGRAM = """
.macro rounds number
    ldr x9, =\\number
1:  fmla v0.4s, v1.4s, v2.4s
    subs x9, x9, 1
    b.ne 1b
.endm
.macro pieces
2:  add x10, x20, 128
3:  ldaxr w11, [x10]
    add w11, w11, 1
    stlxr w12, w11, [x10]
    cbnz w12, 3b
    cmp w11, 400
    b.gt 4f
    rounds 200
    b 2b
4:
.endm
    b go
second:
    add x10, x20, 192
    ldar w9, [x10]
    cbz w9, second
    {second}
    add x10, x20, 64
    mov w9, 1
    stlr w9, [x10]
    mov x0, x10
    mov x1, 1
    mov x2, 1
    mov x8, 98
    svc 0
    mov x0, 0
    mov x8, 93
    svc 0
go: mark 0
    ldr x0, =0x50f00
    add x1, x20, 0x10000
    mov x2, 0
    mov x3, 0
    mov x4, 0
    mov x8, 220
    svc 0
    cbz x0, second
    mark 2
    mov w9, 1
    add x10, x20, 192
    stlr w9, [x10]
    {first}
wait:
    {wait}
    add x10, x20, 64
    ldar w9, [x10]
    cbz w9, wait
    mark 3
"""
SPIN = "yield"
SLEEP = "add x0, x20, 64\n mov x1, 0\n mov x2, 0\n mov x3, 0\n mov x8, 98\n svc 0"


def counted(folder: Path, first: str, second: str, wait: str) -> ThreadCounts:
    """What the two threads do, without a wait that was given up."""
    folder.mkdir()
    listing = run_under(THREADS, folder, PROGRAM.format(first=first, second=second, wait=wait))
    (section,) = listing.sections
    assert (listing.threads, listing.strays) == (2, 0)
    return section.total


@pytest.mark.parametrize("wait", [SPIN, SLEEP])
def test_the_clock_is_that_of_the_thread_with_most_work(tmp_path: Path, wait: str) -> None:
    """Whoever it is, and however the other one waits."""
    short, long = "rounds 30000", "rounds 90000"
    of_second = counted(tmp_path / "second", short, long, wait)
    of_first = counted(tmp_path / "first", long, short, wait)
    both = counted(tmp_path / "both", long, long, wait)
    assert of_second.work == (30000, 90000)
    assert of_first.work == (90000, 30000)
    assert both.work == (90000, 90000)
    for one in (of_second, both):
        assert one.cycles == pytest.approx(of_first.cycles, rel=0.01)


@pytest.mark.parametrize("wait", [SPIN, SLEEP])
def test_threads_that_take_pieces_take_as_many(tmp_path: Path, wait: str) -> None:
    """As on two cores, whatever else runs on the host."""
    work = counted(tmp_path / "pieces", "pieces", "pieces", wait).work
    assert sum(work) == 400 * 200
    assert min(work) > 0.97 * max(work)


def test_an_op_on_one_thread_takes_the_cycles_of_its_count(
    bullseye_root: Path, tmp_path: Path
) -> None:
    """RELU has no second thread: the clock is the plain count's sum."""
    path = tmp_path / "probe.tflite"
    path.write_bytes(probe())
    alone = count(path, bullseye_root)
    ops = count_threads(path, bullseye_root)
    assert [op.name for op, _ in ops] == [op.name for op in alone.ops]
    for (_, counts), op in zip(ops, alone.ops, strict=True):
        assert counts.cycles == pytest.approx(op.counts.cycles, rel=0.01)
        assert counts.work[0] == sum(counts.work) > 0


def test_a_file_of_another_runtime_is_refused(tmp_path: Path) -> None:
    need("qemu-aarch64", "qemu-user")
    with pytest.raises(UserError, match=r"ONNX Runtime runs \.onnx files; for this one --runtime"):
        count_threads(tmp_path / "a.tflite", tmp_path, "onnxruntime")
