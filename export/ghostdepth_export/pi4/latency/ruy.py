"""How the matrix library ruy shares one product among threads.

The rules of github.com/google/ruy at the time of TensorFlow Lite 2.5: how many threads,
`GetTentativeThreadCount` (ruy/trmul.cc); which blocks, `MakeBlockMap` (ruy/block_map.cc); of which
tiles, `Kernel<Path::kNeon, ...>` (ruy/kernel_arm.h); for the caches of a Raspberry Pi 4.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

# A product of 2 ** 15 multiplications, sides rounded up to powers of two, gets no second thread.
_DIVISOR_LOG2 = 15
# Of one core: what ruy/cpuinfo.cc calls the local cache.
_LOCAL_CACHE_LOG2 = 15
# A side of a block holds at most 2 ** 6 tiles.
_MOST_TILES_LOG2 = 6
# ruy/block_map.cc: scores by the logarithms of blocks a thread and of a block's bytes over the
# cache; beyond the ends the last entry holds.
_THREADS_SCORES = (-64, -16, -8, 0, 8, 16)
_CACHE_SCORES = (64, 56, 48, 32, 16, 0, -64)


@dataclass(frozen=True)
class Split:
    """How work is shared.

    Attributes:
        threads: That take part.
        speed_up: Whole work over that of the busiest thread, 1..threads.
    """

    threads: int
    speed_up: float


ALONE = Split(1, 1.0)


def split_product(rows: int, columns: int, depth: int, itemsize: int, threads: int) -> Split:
    """How the product of `rows x depth` weights and `depth x columns` pixels is shared.

    Args:
        rows: Output channels.
        columns: Output pixels.
        depth: Products that are summed up.
        itemsize: Bytes of a number: 4 for float32, 1 for int8 and uint8.
        threads: Of the interpreter.
    """
    spare = sum(_ceil_log2(size) for size in (rows, columns, depth)) - _DIVISOR_LOG2
    wanted = min(1 << max(0, spare), threads)
    if wanted == 1:
        return ALONE
    tile = 8 if itemsize == 4 else 4
    sides = [-(-size // tile) * tile for size in (rows, columns)]
    stretch = _stretch_log2(sides, tile)
    size_log2 = max(_ceil_log2(tile), _floor_log2(min(sides)))
    block_log2 = _block_log2(sides, depth, tile, itemsize, wanted, size_log2)
    counts = [1 << (size_log2 - block_log2 + extra) for extra in stretch]
    heights, widths = (_parts(n, tile, k) for n, k in zip(sides, counts, strict=True))
    return _shared(heights, widths, wanted)


def _shared(heights: list[int], widths: list[int], threads: int) -> Split:
    """Threads take the next block whenever they are done with one."""
    blocks = [height * width for height in heights for width in widths]
    busy = [0] * min(threads, len(blocks))
    for block in blocks:
        heapq.heapreplace(busy, busy[0] + block)
    return Split(len(busy), sum(blocks) / max(busy))


def _parts(length: int, tile: int, number: int) -> list[int]:
    """A side in so many parts of whole tiles; the first ones are a tile longer than the rest."""
    small, longer = divmod(length // tile, number)
    return [tile * (small + (i < longer)) for i in range(number)]


def _stretch_log2(sides: list[int], tile: int) -> list[int]:
    """Into how many nearly square regions each side is cut (`GetRectangularness`)."""
    shorter, longer = sorted(sides)
    if shorter == longer:
        return [0, 0]
    # Along the longer side a block has at least 8 tiles, less what the shorter one gives.
    least = max(0, 3 - (_ceil_log2(shorter) - _ceil_log2(tile)))
    most = max(0, _floor_log2(longer) - _ceil_log2(tile) - least)
    cut = min(_floor_log2(longer // shorter), most)
    return [cut if side == longer else 0 for side in sides]


def _block_log2(
    sides: list[int], depth: int, tile: int, itemsize: int, threads: int, size_log2: int
) -> int:
    """The side of a block with the best score; of equal ones the largest."""
    tile_log2 = _ceil_log2(tile)
    best, chosen = -(10**6), tile_log2
    for log2 in range(tile_log2, min(size_log2, tile_log2 + _MOST_TILES_LOG2) + 1):
        whole = max(1, (sides[0] >> log2) * (sides[1] >> log2))
        block = [min(1 << log2, side) for side in sides]
        score = _entry(_THREADS_SCORES, _floor_log2(whole) - _ceil_log2(threads) + 1)
        if min(sides) > tile:
            read = _ceil_log2(itemsize * sum(block) * depth)
            score += _entry(_CACHE_SCORES, read - _LOCAL_CACHE_LOG2 + 2)
        score += 8 * min(8, _floor_log2(block[0] * block[1]) - 2 * tile_log2)
        if score >= best:
            best, chosen = score, log2
    return chosen


def _entry(scores: tuple[int, ...], index: int) -> int:
    return scores[max(0, min(index, len(scores) - 1))]


def _floor_log2(number: int) -> int:
    return number.bit_length() - 1


def _ceil_log2(number: int) -> int:
    return (number - 1).bit_length()
