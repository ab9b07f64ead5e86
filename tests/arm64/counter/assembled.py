"""Programs in assembly, run under the counter's plugin."""

from __future__ import annotations

import subprocess
from pathlib import Path

from ghostdepth_export.pi4.counter.listing import C, InstructionCounts, Listing
from ghostdepth_export.pi4.counter.plugin import COUNTER, Plugin, find_qemu, run_counted

from tests.arm64.conftest import need

# From the instruction after the mark that begins a section to the mark that ends it.
MARK_LENGTH = 6
BUFFER = ".bss\n.balign 4096\ndata: .space 1 << 22"
PRELUDE = """
.macro mark command
    mov x8, 141
    mov x0, 0
    mov w1, 0x6f73
    movk w1, 0x6768, lsl 16
    mov x2, \\command
    svc 0
.endm
.macro learned ops, low, high
    mov x3, \\ops
    adr x4, \\low
    adr x5, \\high
    mark 1
.endm
.macro leave
    mov x0, 0
    mov x8, 94
    svc 0
.endm
.text
.global _start
_start:
    adrp x20, data
    add x20, x20, :lo12:data
"""


def run(folder: Path, code: str, data: str = BUFFER) -> Listing[InstructionCounts]:
    """Assembles and runs a program under the counter; arguments as in `run_under`."""
    return run_under(COUNTER, folder, code, data)


def run_under(plugin: Plugin[C], folder: Path, code: str, data: str = BUFFER) -> Listing[C]:
    """Assembles and runs a program.

    Args:
        plugin: What it runs under.
        folder: An empty one; files that `data` includes may be there.
        code: What is executed; x20 has the address of `data`.
        data: Directives with the label `data`.
    """
    need("qemu-aarch64", "qemu-user")
    need("gcc", "gcc")
    compiler = need("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu")
    source, program = folder / "program.S", folder / "program"
    source.write_text(f"{PRELUDE}\n{code}\n    leave\n{data}\n")
    command = [compiler, "-nostdlib", "-static", "-march=armv8-a", "-I", folder]
    subprocess.run([*command, "-o", program, source], check=True)
    return run_counted(find_qemu(), program, [], plugin, folder=folder)[1]


def counted(listing: Listing[InstructionCounts]) -> InstructionCounts:
    """The counts of the one section."""
    (section,) = listing.sections
    assert listing.threads == 1
    return section.total


def chain(lines: int) -> str:
    """Data: a ring of pointers, one a line, five lines on every time.

    Args:
        lines: Without a common factor with 5, so that the ring goes through all of them.
    """
    return (
        f".data\n.balign 4096\ndata:\n.set i, 0\n.rept {lines}\n"
        f".quad data + (i + 5) % {lines} * 64\n.space 56\n.set i, i + 1\n.endr"
    )
