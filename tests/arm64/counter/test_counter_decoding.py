"""How the plugin reads instructions, against objdump on every one of the runtime's library."""

from __future__ import annotations

import re
import subprocess
from importlib import resources
from pathlib import Path

import pytest

from tests.arm64.conftest import need

FIELDS = ("access", "all", "loads", "stores", "neon", "ints", "multi", "branches")
DECODE = """
#include "counter.c"
int main(void)
{
    for (unsigned word; scanf("%x", &word) == 1;) {
        struct uops u = uops_of(word);
        printf("%d %u %u %u %u %u %u %u\\n", access_of(word), u.all, u.loads, u.stores, u.neon,
               u.ints, u.multi, u.branches);
    }
}
"""
# Of Armv8.1: the library asks the CPU before it runs one, and a Cortex-A72 has none.
ATOMIC = re.compile("cas|swp|ld(add|clr|eor|set)")
SYSTEM = re.compile("nop|dmb|isb|mrs|msr|svc|brk|hlt|udf|yield|hint|bti|(pac|aut)i|xpaclri|clrex")
# The multi-cycle pipe has what is no plain op of one cycle.
MULTI = re.compile(
    "bfi|bfxil|bfc|extr|ror$|crc|[su]div|m(ul|add|sub|neg)|[us]m(ull|addl|subl|negl|ulh)"
)
SHIFTED = re.compile("(lsl|lsr|asr|ror|[su]xt[bhwx])")


@pytest.fixture(scope="module", name="decoded")
def _decoded(
    bullseye_root: Path, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[str, str, dict[str, int]]]:
    """Mnemonic, operands, and what the plugin makes of it, of every different instruction."""
    objdump = need("aarch64-linux-gnu-objdump", "binutils-aarch64-linux-gnu")
    (library,) = bullseye_root.glob("usr/local/lib/python3.9/*/tflite_runtime/*.so")
    listed = subprocess.run(
        [objdump, "-d", "--section=.text", library], check=True, capture_output=True, text=True
    ).stdout
    rows = re.findall(r"^ +[0-9a-f]+:\t([0-9a-f]{8}) \t(\S+)(?:\t([^/<\n]*))?", listed, re.M)
    assert len(rows) > 100_000
    texts = {word: text for word, *text in rows if not ATOMIC.match(text[0])}

    folder = tmp_path_factory.mktemp("decode")
    main = folder / "decode.c"
    main.write_text(DECODE)
    sources = str(resources.files("ghostdepth_export.pi4.counter") / "qemu")
    # What calls QEMU is not called here, so the linker drops it.
    command = [need("gcc", "gcc"), "-ffunction-sections", "-Wl,--gc-sections"]
    subprocess.run([*command, "-I", sources, "-o", folder / "decode", main], check=True)
    lines = subprocess.run(
        [folder / "decode"], check=True, capture_output=True, text=True, input="\n".join(texts)
    ).stdout.splitlines()
    figures = [dict(zip(FIELDS, map(int, line.split()), strict=True)) for line in lines]
    return [
        (mnemonic, operands, uops)
        for (mnemonic, operands), uops in zip(texts.values(), figures, strict=True)
    ]


def test_loads_and_stores_agree_with_the_disassembler(
    decoded: list[tuple[str, str, dict[str, int]]],
) -> None:
    wrong = [
        (mnemonic, operands)
        for mnemonic, operands, uops in decoded
        if uops["access"] != (1 if mnemonic[:2] == "ld" else 2 if mnemonic[:2] == "st" else 0)
    ]
    assert not wrong


def test_pipes_agree_with_the_disassembler(
    decoded: list[tuple[str, str, dict[str, int]]],
) -> None:
    wrong = [
        (mnemonic, operands, uops)
        for mnemonic, operands, uops in decoded
        if mnemonic not in (".inst", ".word", "udf") and not by_text(mnemonic, operands, uops)
    ]
    assert not wrong, wrong[:20]


def by_text(mnemonic: str, operands: str, uops: dict[str, int]) -> bool:
    """Whether the pipes are those that the text tells."""
    loads, stores, neon, ints, multi, branches = (uops[field] for field in FIELDS[2:])
    if re.match(r"ld|st|prfm", mnemonic):
        moves_base = "]!" in operands or re.search(r"\], [#x]", operands)
        structure = re.match("(ld|st)[1-4]", mnemonic)
        return (
            (loads > 0) != (stores > 0)
            and (loads > 0) == (mnemonic[:2] != "st")
            and not (multi or branches)
            and (neon == 0 or structure is not None)
            and (ints == 1 or not moves_base)
        )
    if re.match(r"(b|b\..*|bl|blr|br|ret|cbn?z|tbn?z)$", mnemonic):
        return branches == 1 and ints == (mnemonic in ("bl", "blr")) and not (neon or multi)
    if loads or stores:
        across = re.search(r"\b[wx](\d|zr)", operands) and re.search(r"\b[sdv]\d", operands)
        return bool(across) and (loads, stores, multi, branches) == (1, 0, 0, 0)
    if re.search(r"\b[bhsdqv]\d", operands):
        # A table's and a scalar sum's register is wide, but the op is not.
        narrow = re.match("f?addp d|tbl .*8b$", f"{mnemonic} {operands}".strip())
        wide = re.search(r"\.(16b|8h|4s|2d|1q)", operands) and not narrow
        element = re.search(r"\.[bhsd]\[", operands) and not wide
        slow = re.match("fdiv|fsqrt", mnemonic)
        fits = neon >= 5 if slow else neon == (2 if wide else 1) or element
        return bool(fits) and not (ints or multi or branches)
    if SYSTEM.match(mnemonic):
        return (uops["all"], neon, ints, multi, branches) == (1, 0, 0, 0, 0)
    # An immediate may be moved up by twelve bits at no cost. What is added to the stack pointer is
    # extended, which objdump does not print.
    shifted = SHIFTED.search(operands) and not re.search("#.*, lsl", operands)
    shifted = shifted or (mnemonic in ("add", "sub") and re.search("sp, x", operands))
    slow = MULTI.match(mnemonic) or shifted
    return (multi > 0, ints) == ((True, 0) if slow else (False, 1)) and not (neon or branches)
