"""How the matrix library ruy splits one matrix product among threads.

The rules of github.com/google/ruy at the time of TensorFlow Lite 2.5: how many threads,
`GetTentativeThreadCount` (ruy/trmul.cc); which blocks, `MakeBlockMap` (ruy/block_map.cc); of which
tiles, `Kernel<Path::kNeon, ...>` (ruy/kernel_arm.h); for the caches of a Raspberry Pi 4.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

# A product of 2 ** 15 multiplications, sides rounded up to powers of two, gets no second thread.
_DIVISOR_LOG2 = 15
# Data cache of one core, the local cache of ruy/cpuinfo.cc.
_LOCAL_CACHE_LOG2 = 15
# A side of a block holds at most 2 ** 6 tiles.
_MOST_TILES_LOG2 = 6
# ruy/block_map.cc: scores by log2 of the blocks per thread and of a block's bytes over the cache
# size; beyond the ends the first or last entry holds.
_THREADS_SCORES = (-64, -16, -8, 0, 8, 16)
_CACHE_SCORES = (64, 56, 48, 32, 16, 0, -64)


@dataclass(frozen=True)
class ThreadSplit:
    """How work is split among threads.

    Attributes:
        threads: Number of threads that take part.
        speed_up: Total work over the work of the busiest thread, 1..threads.
    """

    threads: int
    speed_up: float


ALONE = ThreadSplit(1, 1.0)


def split_product(rows: int, columns: int, depth: int, itemsize: int, threads: int) -> ThreadSplit:
    """How the product of `rows x depth` weights and `depth x columns` pixels is split.

    Args:
        rows: Number of output channels.
        columns: Number of output pixels.
        depth: Number of products in one sum.
        itemsize: Bytes per value: 4 for float32, 1 for int8 and uint8.
        threads: Number of threads of the interpreter.
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
    heights, widths = (_block_sides(n, tile, k) for n, k in zip(sides, counts, strict=True))
    return _schedule(heights, widths, wanted)


def _schedule(heights: list[int], widths: list[int], threads: int) -> ThreadSplit:
    """Each thread takes the next block when it has finished one."""
    blocks = [height * width for height in heights for width in widths]
    busy = [0] * min(threads, len(blocks))
    for block in blocks:
        heapq.heapreplace(busy, busy[0] + block)
    return ThreadSplit(len(busy), sum(blocks) / max(busy))


def _block_sides(length: int, tile: int, number: int) -> list[int]:
    """Splits a side into blocks of whole tiles; the first ones are a tile longer than the rest."""
    small, longer = divmod(length // tile, number)
    return [tile * (small + (i < longer)) for i in range(number)]


def _stretch_log2(sides: list[int], tile: int) -> list[int]:
    """Log2 of the number of nearly square regions along each side (`GetRectangularness`)."""
    shorter, longer = sorted(sides)
    if shorter == longer:
        return [0, 0]
    # A block has at least 8 tiles along the longer side, fewer if the shorter side has several.
    min_tiles_log2 = max(0, 3 - (_ceil_log2(shorter) - _ceil_log2(tile)))
    max_regions_log2 = max(0, _floor_log2(longer) - _ceil_log2(tile) - min_tiles_log2)
    regions_log2 = min(_floor_log2(longer // shorter), max_regions_log2)
    return [regions_log2 if side == longer else 0 for side in sides]


def _block_log2(
    sides: list[int], depth: int, tile: int, itemsize: int, threads: int, size_log2: int
) -> int:
    """Log2 of the block side with the best score; the largest of equal ones."""
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
