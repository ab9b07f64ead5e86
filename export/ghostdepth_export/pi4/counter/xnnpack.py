"""Runs in the emulated Pi: the operators that XNNPACK makes of a graph, in the order of execution.

Each operator has the number of tasks that its threads share: it has a range of up to six
dimensions, the last ones in tiles, and a task is one tile (`pthreadpool_parallelize_*`).

LiteRT shows a delegate as one op, and Python has no access to its profiler. Its wheel keeps the
symbols of XNNPACK's functions. For one invocation the entry of `xnn_invoke_runtime` is replaced by
a jump to a callback, which reads the operators and runs the function. Where the fields of XNNPACK's
structures are is that of the one LiteRT of the wheels' list, which has a checksum; that as many
operators are called as are read here is checked for every count.
"""

from __future__ import annotations

import ctypes
import math
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np

# struct xnn_runtime: address and number of `opdata`. struct xnn_operator_data: its size, and where
# its operators are. struct xnn_operator: its kind of microkernel, and where its computations are.
# struct compute_parameters: six sizes of the range, then two of a tile, 0 where unused.
_OPDATA, _NUMBER = 8, 16
_STRIDE, _OBJECTS, _OBJECTS_END = 0xF0, 8, 48
_MICROKERNEL, _COMPUTE = 192, 272
_RANGE, _TILE, _COMPUTE_END = 24, 72, 88
# ldr x16, 8 bytes on; br x16; the address.
_JUMP = bytes.fromhex("5000005800021fd6")
_SECTION = np.dtype([("", "V4"), ("type", "<u4"), ("", "V16"), ("at", "<u8"), ("size", "<u8"),
                     ("link", "<u4"), ("", "V20")])  # fmt: skip
_SYMBOL = np.dtype([("name", "<u4"), ("", "V4"), ("value", "<u8"), ("", "V8")])
_SYMTAB = 2


def operators_of(invoke: Callable[[], Any], library: str) -> list[list[tuple[str, int]]]:
    """Invokes a graph; names and tasks of the operators of each part that XNNPACK runs."""
    with open("/proc/self/maps") as maps:
        line = next(line for line in maps if library in line).split()
    base = int(line[0].split("-")[0], 16)
    functions = (
        "xnn_invoke_runtime",
        "xnn_operator_type_to_string_v2",
        "xnn_microkernel_type_to_string",
    )
    entry, kind, microkernel = (base + value for value in _symbols(line[-1], functions))
    call = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
    text_of_operator = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_void_p)(kind)
    text_of_kernel = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.c_int)(microkernel)
    original = ctypes.string_at(entry, 16)
    found: list[list[tuple[str, int]]] = []

    def name(operator: int) -> str:
        words = [text_of_operator(operator)]
        chosen = ctypes.c_uint32.from_address(operator + _MICROKERNEL).value
        words += [text_of_kernel(chosen)] if chosen else []
        return b" ".join(words).decode()

    def on_invoke(runtime: int) -> int:
        opdata, number = (_word(runtime + field) for field in (_OPDATA, _NUMBER))
        slots = [
            opdata + i * _STRIDE + at
            for i in range(number)
            for at in range(_OBJECTS, _OBJECTS_END, 8)
        ]
        operators = [operator for operator in map(_word, slots) if operator]
        found.append([(name(operator), _tasks(operator)) for operator in operators])
        ctypes.memmove(entry, original, len(original))
        try:
            return int(call(entry)(runtime))
        finally:
            ctypes.memmove(entry, jump, len(jump))

    callback = call(on_invoke)
    jump = _JUMP + (ctypes.cast(callback, ctypes.c_void_p).value or 0).to_bytes(8, "little")
    page = entry & -mmap.PAGESIZE
    size = entry + len(jump) - page
    libc = ctypes.CDLL(None, use_errno=True)
    everything = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(size), everything):
        raise RuntimeError("the code of XNNPACK cannot be changed")
    ctypes.memmove(entry, jump, len(jump))
    invoke()
    ctypes.memmove(entry, original, len(original))
    return found


def _tasks(operator: int) -> int:
    """Number of tiles of an operator's first computation; most operators have one."""
    compute = _word(operator + _COMPUTE)
    sizes = [_word(compute + at) for at in range(_RANGE, _TILE, 8)]
    tiles = [_word(compute + at) for at in range(_TILE, _COMPUTE_END, 8)]
    sizes, tiles = ([size for size in each if size] for each in (sizes, tiles))
    sizes.reverse()
    tiles = tiles[::-1] + [1] * (len(sizes) - len(tiles))
    return math.prod(-(-size // tile) for size, tile in zip(sizes, tiles, strict=True))


def _word(address: int) -> int:
    return ctypes.c_uint64.from_address(address).value


def _symbols(path: str, names: tuple[str, ...]) -> list[int]:
    """Addresses of functions in an ELF file, from its beginning."""
    data = np.fromfile(path, np.uint8).tobytes()
    at, number = (
        int.from_bytes(data[0x28:0x30], "little"),
        int.from_bytes(data[0x3C:0x3E], "little"),
    )
    sections = np.frombuffer(data, _SECTION, number, at)
    table = sections[sections["type"] == _SYMTAB]
    if not len(table):
        raise RuntimeError("the library has no symbols, by which XNNPACK's operators are found")
    symbols = np.frombuffer(
        data, _SYMBOL, int(table[0]["size"]) // _SYMBOL.itemsize, int(table[0]["at"])
    )
    texts = sections[table[0]["link"]]
    strings = data[int(texts["at"]) : int(texts["at"] + texts["size"])]
    values = []
    for name in names:
        match = symbols[symbols["name"] == strings.find(b"\0" + name.encode() + b"\0") + 1]
        if len(match) != 1:
            raise RuntimeError(f"the library has no {name}")
        values.append(int(match[0]["value"]))
    return values
