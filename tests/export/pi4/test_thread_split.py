"""How ops are shared among threads, at the borders of the rules in TFLite's and ruy's sources."""

from __future__ import annotations

import math

import pytest
from ghostdepth_export.pi4.latency import OpWork, ruy
from ghostdepth_export.pi4.latency.ruy import split_product
from ghostdepth_export.pi4.latency.threads import busiest_cycles, is_checked, split, threads_used


def conv(
    pixels: int, out: int, depth: int, kernel: int = 1, stride: int = 1, dtype: str = "FLOAT32"
) -> OpWork:
    """A square convolution."""
    picture = (1, pixels * stride, pixels * stride, depth)
    return OpWork(
        "CONV_2D", dtype, (1, pixels, pixels, out), (picture, (out, kernel, kernel, depth))
    )


def depthwise(rows: int, columns: int, channels: int, dtype: str) -> OpWork:
    """3x3."""
    shape = (1, rows, columns, channels)
    return OpWork("DEPTHWISE_CONV_2D", dtype, shape, (shape, (1, 3, 3, channels)))


@pytest.mark.parametrize(
    ("sides", "threads"),
    [
        # Sides are rounded up to powers of two: 32 * 32 * 32 is the largest product for one thread.
        ((32, 32, 32), 1),
        ((33, 32, 32), 2),
        ((33, 33, 32), 4),
        ((33, 33, 33), 4),
        # One row of 8x8 tiles is cut only where 8 tiles stay together, however deep the product.
        ((8, 8, 4096), 1),
        ((8, 16, 4096), 1),
        ((8, 128, 4096), 2),
    ],
)
def test_a_product_gets_threads_by_its_size_and_its_tiles(
    sides: tuple[int, int, int], threads: int
) -> None:
    assert split_product(*sides, itemsize=4, threads=4).threads == threads


# Blocks along the shorter side, and how often the longer side is cut before that, of 4 threads:
# as ruy/block_map_test.cc expects them, where the local cache is the 128 KiB of a Cortex-A55.
@pytest.mark.parametrize(
    ("side", "itemsize", "base_log2"),
    [(32, 1, 1), (64, 1, 1), (192, 1, 1), (256, 1, 2), (384, 1, 2), (256, 4, 3)],
)
def test_blocks_are_those_of_ruys_own_tests(
    monkeypatch: pytest.MonkeyPatch, side: int, itemsize: int, base_log2: int
) -> None:
    monkeypatch.setattr(ruy, "_LOCAL_CACHE_LOG2", 17)
    size_log2 = side.bit_length() - 1
    block = ruy._block_log2([side, side], side, 8, itemsize, 4, size_log2)
    assert size_log2 - block == base_log2


@pytest.mark.parametrize(("sides", "cut"), [([256, 16], [3, 0]), ([24, 2400], [0, 6])])
def test_long_products_are_cut_as_in_ruys_own_tests(sides: list[int], cut: list[int]) -> None:
    assert ruy._stretch_log2(sides, 8) == cut


def test_blocks_cover_the_product_in_whole_tiles() -> None:
    parts = ruy._block_sides(1000, 8, 16)
    assert sum(parts) == 1000
    assert {part % 8 for part in parts} == {0}
    assert max(parts) - min(parts) == 8


@pytest.mark.parametrize("threads", [1, 2, 3, 4])
@pytest.mark.parametrize("pixels", [1, 3, 7, 14, 112])
@pytest.mark.parametrize("itemsize", [1, 4])
def test_no_split_is_faster_than_its_threads(pixels: int, threads: int, itemsize: int) -> None:
    for channels in (8, 24, 96, 1001):
        found = split_product(channels, pixels**2, 160, itemsize, threads)
        assert 1 <= found.speed_up <= found.threads <= threads


@pytest.mark.parametrize(
    ("op", "threads", "speed_up"),
    [
        (depthwise(7, 7, 18, "FLOAT32"), 1, 1.0),  # 7938 multiplications: less than 8192
        (depthwise(8, 8, 28, "UINT8"), 1, 1.0),  # 16128: less than two times 8192
        (depthwise(8, 8, 29, "UINT8"), 2, 2.0),
        (depthwise(7, 7, 1024, "FLOAT32"), 4, 3.5),  # 7 rows: 1, 2, 2, 2
        (depthwise(3, 3, 2048, "FLOAT32"), 4, 3.0),
        (depthwise(7, 7, 18, "INT8"), 4, 3.5),  # no threshold
    ],
)
def test_depthwise_convolutions_are_cut_by_rows(op: OpWork, threads: int, speed_up: float) -> None:
    found = split(op, 4)
    assert (found.threads, found.speed_up) == (threads, pytest.approx(speed_up))


@pytest.mark.parametrize(
    ("batches", "rows", "speed_up"),
    [
        (8, 3, 4.0),  # two images for each thread
        (4, 3, 4.0),  # an image for each
        (9, 3, 3.0),  # 2, 2, 2, 3
        (5, 8, 4.0),  # by rows: five images are no multiple of four threads, nor eight
        (3, 7, 3.5),  # by rows: fewer images than threads
    ],
)
def test_a_batch_is_cut_by_images_where_each_thread_gets_as_many_or_two(
    batches: int, rows: int, speed_up: float
) -> None:
    shape = (batches, rows, 7, 2048)
    op = OpWork("DEPTHWISE_CONV_2D", "FLOAT32", shape, (shape, (1, 3, 3, 2048)))
    assert threads_used(op, 4) == 4
    assert split(op, 4).speed_up == pytest.approx(speed_up)


@pytest.mark.parametrize(
    ("rows", "depth", "threads", "speed_up"),
    [(1000, 131, 1, 1), (1000, 132, 2, 2), (1000, 1280, 4, 1000 / 252), (7, 2**20, 1, 1)],
)
def test_matrix_times_vector_wants_65536_products_and_4_rows_a_thread(
    rows: int, depth: int, threads: int, speed_up: float
) -> None:
    op = OpWork("FULLY_CONNECTED", "FLOAT32", (1, rows), ((1, depth), (rows, depth)))
    assert (split(op, 4).threads, split(op, 4).speed_up) == (threads, pytest.approx(speed_up))
    assert split(conv(1, rows, depth), 4).threads == threads


@pytest.mark.parametrize(
    "name", ["ADD", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "PAD", "MUL"]
)
def test_other_ops_run_on_the_calling_thread(name: str) -> None:
    shape = (1, 480, 640, 16)
    assert split(OpWork(name, "INT8", shape, (shape, shape)), 4) == ruy.ALONE


@pytest.mark.parametrize(
    ("name", "dtype", "weights"),
    [
        ("CONV_2D", "INT16", "INT8"),
        ("CONV_2D", "INT16", "INT16"),
        ("CONV_2D", "FLOAT32", "INT8"),
        ("DEPTHWISE_CONV_2D", "INT16", "INT8"),
        ("FULLY_CONNECTED", "FLOAT32", "INT8"),
        ("FULLY_CONNECTED", "FLOAT16", "FLOAT16"),
        ("TRANSPOSE_CONV", "FLOAT32", "FLOAT32"),
        ("BATCH_MATMUL", "FLOAT32", None),
        ("ADD", "INT16", None),
        ("SOFTMAX", "FLOAT32", None),
    ],
)
def test_what_was_not_checked_takes_the_time_of_one_thread(
    name: str, dtype: str, weights: str | None
) -> None:
    shape = (1, 96, 128, 64)
    op = OpWork(name, dtype, shape, (shape, (64, 3, 3, 64)), weights)
    assert not is_checked(op)
    assert split(op, 4) == ruy.ALONE
    assert busiest_cycles(op, 1e9, 4) == 1e9
    assert is_checked(OpWork("CONV_2D", "INT8", shape, (shape, (64, 3, 3, 64)), "INT8"))


@pytest.mark.parametrize(("channels", "threads"), [(15, 1), (16, 2), (31, 3), (32, 4)])
def test_a_mean_gives_each_thread_at_least_8_channels(channels: int, threads: int) -> None:
    op = OpWork("MEAN", "INT8", (1, channels), ((1, 7, 7, channels), (2,)))
    assert threads_used(op, 4) == threads


def test_a_mean_of_8_bits_is_cut_by_channels_and_one_of_floats_is_not() -> None:
    for dtype, threads in (("INT8", 4), ("UINT8", 4), ("FLOAT32", 1)):
        op = OpWork("MEAN", dtype, (1, 1280), ((1, 7, 7, 1280), (2,)))
        assert split(op, 4).threads == threads


# Counted: cycles of a convolution less those of the 1x1 one with the same product.
@pytest.mark.parametrize(
    ("op", "alone"),
    [
        (conv(112, 32, 3, 3, 2), 1_073_350),
        (conv(56, 64, 64, 3), 1_093_574),
        (conv(14, 256, 256, 3), 224_122),
        (conv(40, 24, 24, 5), 643_120),
        (conv(112, 32, 3, 3, 2, "INT8"), 759_821),
        (conv(56, 64, 64, 3, dtype="INT8"), 419_724),
        (conv(14, 128, 128, 3, 2, "INT8"), 40_715),
    ],
)
def test_laying_out_patches_is_not_shared(op: OpWork, alone: int) -> None:
    cycles = 5e6
    expected = alone + (cycles - alone) / split(op, 4).speed_up
    assert busiest_cycles(op, cycles, 4) == pytest.approx(expected, rel=0.06)
    assert busiest_cycles(op, cycles, 4) > 1.015 * cycles / split(op, 4).speed_up
    assert busiest_cycles(op, cycles, 1) == pytest.approx(cycles)


def test_a_pointwise_convolution_is_all_product_unless_it_has_a_stride() -> None:
    assert busiest_cycles(conv(112, 32, 27), 5e6, 4) == pytest.approx(5e6 / 4)
    assert busiest_cycles(conv(112, 32, 27, stride=2), 5e6, 4) > 5e6 / 4


def test_patches_never_take_more_than_the_op() -> None:
    op = conv(112, 32, 3, 3, 2)
    assert busiest_cycles(op, 1000.0, 4) == 1000.0
    assert math.isclose(busiest_cycles(op, 0.0, 4), 0.0)
