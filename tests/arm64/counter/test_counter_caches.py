"""The plugin's caches, on programs in assembly whose misses are known."""

from __future__ import annotations

import functools
import subprocess
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ghostdepth_export.pi4.counter.listing import InstructionCounts, Listing

from tests.arm64.conftest import need
from tests.arm64.counter.assembled import chain, counted
from tests.arm64.counter.assembled import run as run_assembled

LINE = 64
L2_LINES = 1 << 14


Run = Callable[..., Listing[InstructionCounts]]


@pytest.fixture(name="run")
def _run(tmp_path: Path) -> Run:
    return functools.partial(run_assembled, tmp_path)


@pytest.mark.parametrize(
    ("kilobytes", "l1d", "l2"),
    [
        pytest.param(16, False, False, id="fits the L1D"),
        pytest.param(64, True, False, id="fits the L2"),
        pytest.param(2048, True, True, id="fits neither"),
    ],
)
def test_a_warm_pointer_chase(run: Run, kilobytes: int, l1d: bool, l2: bool) -> None:
    lines = kilobytes * 1024 // LINE
    chase = f"mov x9, {lines}\n1: ldr x20, [x20]\n subs x9, x9, 1\n b.ne 1b"
    counts = counted(run(f"mark 0\n mark 1\n {chase}\n mark 2\n {chase}\n mark 3", chain(lines)))
    assert counts.loads == lines
    assert (counts.l1d_misses, counts.l2_misses) == (l1d * lines, l2 * lines)
    assert counts.writebacks == 0


def test_a_stream_of_stores_is_written_back(run: Run) -> None:
    lines = 1 << 16
    counts = counted(
        run(
            f"""
            mov x9, {4 * lines}
            mark 2
        1:  str q0, [x20], 16
            subs x9, x9, 1
            b.ne 1b
            mark 3
            """
        )
    )
    assert counts.stores == 4 * lines
    assert counts.l1d_misses == counts.l2_misses == lines
    assert counts.writebacks == lines - L2_LINES


ZEROS = """
    mark 2
    stp q0, q0, [x20], 32
    stp q0, q0, [x20], 32
    mov x9, {lines}
1:  dc zva, x20
    add x20, x20, 64
    subs x9, x9, 1
    b.ne 1b
    {after}
    mark 3
"""


def test_zeroed_lines_are_written_back_but_not_fetched(run: Run) -> None:
    lines = (1 << 16) - 2
    listing = run(ZEROS.format(lines=lines, after="stp q0, q0, [x20]"))
    counts = counted(listing)
    assert listing.strays == 0
    assert counts.stores == lines + 3
    assert counts.l1d_misses == counts.l2_misses == 2
    assert counts.writebacks == lines + 2 - L2_LINES


def test_zeroed_lines_that_are_not_a_memset_are_noticed(run: Run) -> None:
    assert run(ZEROS.format(lines=3, after="stp q0, q0, [x20, 256]")).strays == 1


# As memset of glibc from 2.34 on: the ends are stored first.
LATER_ZEROS = """
    add x21, x20, {offset}
    mov x22, {size}
    add x22, x21, x22
    mark 2
    stp q0, q0, [x21]
    stp q0, q0, [x21, 32]
    and x23, x21, 0xffffffffffffffc0
    sub x9, x22, x23
    sub x9, x9, 128
    stp q0, q0, [x22, -64]
    stp q0, q0, [x22, -32]
1:  add x23, x23, 64
    dc zva, x23
    subs x9, x9, 64
    b.hi 1b
2:  ldrb w3, [x21], 64
    cmp x21, x22
    b.lo 2b
    ldrb w3, [x22, -1]
    {after}
    mark 3
"""


@pytest.mark.parametrize(
    ("offset", "size"), [(0, 4096), (16, 4096), (48, 5000), (1, 161), (64, 176), (63, 12001)]
)
def test_lines_that_a_later_memset_zeroes_are_known(run: Run, offset: int, size: int) -> None:
    code = LATER_ZEROS.format(offset=offset, size=size, after="strb w3, [x20]")
    listing = run(code)
    end = offset + size
    stored = {byte // LINE for byte in [*range(offset, offset + 64), *range(end - 64, end)]}
    assert listing.strays == 0
    # All lines are read; those that were zeroed are there. The last store is to the first line.
    assert counted(listing).l2_misses == len(stored | {0})


def test_an_access_that_straddles_two_lines_touches_both(run: Run) -> None:
    assert counted(run("mark 2\n ldr x3, [x20, 60]\n mark 3")).l1d_misses == 2


class Cache:
    """A second implementation: lines by set, oldest first, with whether they are dirty."""

    def __init__(self, size: int, ways: int) -> None:
        self.sets: list[OrderedDict[int, bool]] = [
            OrderedDict() for _ in range(size // LINE // ways)
        ]
        self.ways = ways

    def set_of(self, line: int) -> OrderedDict[int, bool]:
        return self.sets[line % len(self.sets)]

    def put(self, line: int, dirty: bool) -> tuple[int, bool] | None:
        """Adds a line that is not there; gives what it pushed out."""
        lines = self.set_of(line)
        lines[line] = dirty
        return lines.popitem(last=False) if len(lines) > self.ways else None


def simulate(trace: list[tuple[int, bool]]) -> tuple[int, int, int]:
    """L1D misses, L2 misses and write-backs of (address, is a store) in order."""
    l1d, l2 = Cache(32 << 10, 2), Cache(1 << 20, 16)
    misses = [0, 0, 0]
    for address, store in trace:
        line = address // LINE
        near, far = l1d.set_of(line), l2.set_of(line)
        if line in near:
            near[line] = near.pop(line) or store
            continue
        misses[0] += 1
        out = l1d.put(line, store)
        if out and out[1]:
            l2.set_of(out[0]).pop(out[0])
            l2.set_of(out[0])[out[0]] = True
        if line in far:
            far.move_to_end(line)
            continue
        misses[1] += 1
        gone = l2.put(line, False)
        if gone:
            newer = l1d.set_of(gone[0]).pop(gone[0], False)
            misses[2] += gone[1] or newer
    return misses[0], misses[1], misses[2]


def test_the_l2_takes_a_line_that_it_forgets_out_of_the_l1d(run: Run) -> None:
    """A changed line that only the L1D sees used, beside a stream through the L2."""
    lines = 2 * L2_LINES
    counts = counted(
        run(
            f"""
            add x21, x20, 64
            mov x9, {lines}
            mark 2
            str x9, [x20]
        1:  ldr x3, [x21], 64
            ldr x3, [x20]
            subs x9, x9, 1
            b.ne 1b
            mark 3
            """
        )
    )
    trace = [(0, True)]
    for line in range(lines):
        trace += [(LINE * (line + 1), False), (0, False)]
    assert counts.writebacks == 1
    assert counts.l1d_misses > lines + 1
    assert (counts.l1d_misses, counts.l2_misses, counts.writebacks) == simulate(trace)


def test_random_accesses_agree_with_a_second_cache(run: Run, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    steps = 100_000
    # Half of the accesses go anywhere in 3 MiB, half to a busy 48 KiB.
    offsets = np.where(
        rng.random(steps) < 0.5, rng.integers(0, 3 << 20, steps), rng.integers(0, 48 << 10, steps)
    )
    stores = rng.random(steps) < 0.3
    (tmp_path / "trace.bin").write_bytes((offsets << 1 | stores).astype("<u4").tobytes())
    counts = counted(
        run(
            f"""
            adrp x21, trace
            add x21, x21, :lo12:trace
            mov x9, {steps & 0xFFFF}
            movk x9, {steps >> 16}, lsl 16
            mark 2
        1:  ldr w10, [x21], 4
            lsr w11, w10, 1
            tbnz w10, 0, 2f
            ldrb w12, [x20, x11]
            b 3f
        2:  strb w12, [x20, x11]
        3:  subs x9, x9, 1
            b.ne 1b
            mark 3
            """,
            '.data\n.balign 4096\ntrace: .incbin "trace.bin"\n.bss\n.balign 4096\n'
            "data: .space 3 << 20",
        )
    )
    symbols = subprocess.run(
        [need("aarch64-linux-gnu-nm", "binutils-aarch64-linux-gnu"), tmp_path / "program"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    at = {line.split()[-1]: int(line.split()[0], 16) for line in symbols.splitlines()}
    trace = []
    for step, (offset, store) in enumerate(zip(offsets.tolist(), stores.tolist(), strict=True)):
        trace += [(at["trace"] + 4 * step, False), (at["data"] + offset, store)]
    assert (counts.l1d_misses, counts.l2_misses, counts.writebacks) == simulate(trace)


# Stores 16 bytes at each of the offsets, then goes on by `step`.
STORES = """
    mov x9, {times}
    mark 2
1:  {stores}
    add x20, x20, {step}
    subs x9, x9, 1
    b.ne 1b
    mark 3
"""


@pytest.mark.parametrize(
    ("offsets", "step", "streams"),
    [
        pytest.param([0], 16, True, id="in order"),
        pytest.param([48, 32, 16, 0], 64, True, id="each line from its end"),
        pytest.param([0, 64, 16, 80, 32, 96, 48, 112], 128, False, id="two lines at once"),
        pytest.param([8], 16, True, id="across lines"),
        pytest.param([0, 16, 32], 64, False, id="a gap in each line"),
        pytest.param([0, 16, 32, 48], 128, False, id="every second line"),
        pytest.param([0, 16384, 32768, 49152, 65536], 16, False, id="five rows in turn"),
    ],
)
def test_lines_that_are_written_whole_in_a_row_are_streamed(
    run: Run, offsets: list[int], step: int, streams: bool
) -> None:
    times = 4096 // step
    code = "\n".join(f"mov x21, {offset}\n str q0, [x20, x21]" for offset in offsets)
    counts = counted(run(STORES.format(times=times, stores=code, step=step)))
    assert counts.l1d_streamed == counts.l2_streamed
    if streams:
        # All but the first few.
        assert 0 < counts.l2_misses - counts.l2_streamed <= 6
    else:
        assert counts.l2_streamed == 0


def test_a_line_of_a_stream_that_is_there_already_is_no_miss(run: Run) -> None:
    loads = "mov x22, x20\n mov x9, 64\n2: ldr x3, [x22], 64\n subs x9, x9, 1\n b.ne 2b\n"
    counts = counted(
        run("mark 0\n mark 1\n" + loads + STORES.format(times=256, stores="str q0, [x20]", step=16))
    )
    assert counts.l1d_misses == counts.l1d_streamed == 0
