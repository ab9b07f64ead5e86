"""Damage to the bytes of a file, as disks, networks and half-finished copies do it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

# Values at which parsers often fail: zero, negative, just above a limit, very large.
ODD = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000)
Rng = np.random.Generator
T = TypeVar("T")


def pick(rng: Rng, options: Sequence[T]) -> T:
    """One of the options."""
    return options[int(rng.integers(len(options)))]


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
            data[offset : offset + 1] = varint(pick(rng, ODD))
        return
    words = np.frombuffer(bytes(data[: len(data) // 4 * 4]), "<u4")
    small = np.flatnonzero((words > 0) & (words < 4096))
    for offset in rng.choice(small, min(len(small), int(rng.integers(1, 6)))):
        struct.pack_into("<I", data, int(offset) * 4, pick(rng, ODD))


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


def damaged(sound: bytes, rng: Rng) -> bytes:
    """A copy with one kind of damage."""
    data = bytearray(sound)
    pick(rng, DAMAGE)(data, rng)
    return bytes(data)
