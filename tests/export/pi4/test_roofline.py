"""The limit of each op against a formula, and the reasons."""

from __future__ import annotations

import dataclasses
import html
import math
import re

import numpy as np
import pytest
from ghostdepth_export.pages.roofline_page import kinds, write_page
from ghostdepth_export.pi4.counter import InstructionCounts
from ghostdepth_export.pi4.latency import OpWork, predict_latency, shipped
from ghostdepth_export.pi4.latency.roofline import RooflineLimit, main_reasons, op_limit
from ghostdepth_export.pi4.latency.tables import warnings

from tests.export.pi4.synthetic_counts import convolution, counts, model_counts, plain

A72 = "cortex-a72"
# No pipe that is counted is busy.
IDLE = InstructionCounts(900, 300, 0, 6000, *[0] * 5)


def product(dtype: str, pixels: int, depth: int, channels: int) -> OpWork:
    """A 1x1 convolution."""
    image, weights = (1, 1, pixels, depth), (channels, 1, 1, depth)
    return OpWork("CONV_2D", dtype, (1, 1, pixels, channels), (image, weights))


@pytest.mark.parametrize(("dtype", "size"), [("FLOAT32", 4), ("INT8", 1), ("UINT8", 1)])
def test_the_limit_is_the_most_of_products_loads_and_stores(dtype: str, size: int) -> None:
    random = np.random.default_rng(0)
    for pixels, depth, channels in random.integers(1, 300, (50, 3)):
        op = product(dtype, int(pixels), int(depth), int(channels))
        found = op_limit(op, counts(10**9), A72)
        vector = pixels * depth * channels / (16 / size if size == 4 else 8)
        loads = size * (pixels * depth + depth * channels) / 16
        stores = size * pixels * channels / 8
        assert found.least == pytest.approx(max(vector, loads, stores))
        assert found.macs == pixels * depth * channels
        assert found.fraction == pytest.approx(found.least / 1e9)


def test_sdot_doubles_the_products_of_int8_only() -> None:
    for dtype, factor in (("INT8", 2), ("FLOAT32", 1)):
        op = product(dtype, 256, 256, 256)
        a72, a76 = (op_limit(op, counts(10**8), cpu).least for cpu in (A72, "cortex-a76"))
        assert a72 == pytest.approx(factor * a76)


def test_an_op_without_products_is_held_to_its_bytes() -> None:
    add = OpWork("ADD", "FLOAT32", (1, 64), ((1, 64), (1, 64)))
    assert op_limit(add, counts(100), A72).least == max(2 * 256 / 16, 256 / 8)
    assert op_limit(plain("RESHAPE"), counts(0), A72).fraction == 1


@pytest.mark.parametrize(
    ("used", "reason"),
    [
        ({"instructions": 2700}, "issue"),
        ({"instructions": 900, "loads": 800}, "loads"),
        ({"instructions": 900, "stores": 700}, "stores"),
        ({"instructions": 900, "loads": 300}, "packing"),
    ],
)
def test_what_takes_the_cycles_is_named(used: dict[str, int], reason: str) -> None:
    counted = InstructionCounts(0, 0, 0, 6000, *[0] * 5)
    op = product("FLOAT32", 4, 4, 4)
    assert op_limit(op, dataclasses.replace(counted, **used), A72).reason == reason


def test_copying_patches_is_named_and_half_of_the_limit_needs_no_reason() -> None:
    image, weights = (1, 64, 64, 8), (4, 3, 3, 8)
    large = OpWork("CONV_2D", "FLOAT32", (1, 64, 64, 4), (image, weights))
    least = op_limit(large, counts(1), A72).least
    assert op_limit(large, counts(math.ceil(2.5 * least)), A72).reason == "im2col"
    assert op_limit(large, counts(math.floor(1.9 * least)), A72).reason == ""


def test_xnnpack_copies_no_patches_and_packs_nothing() -> None:
    image, weights = (1, 64, 64, 8), (4, 3, 3, 8)
    op = OpWork("CONV_2D", "FLOAT32", (1, 64, 64, 4), (image, weights))
    slow = counts(math.ceil(2.5 * op_limit(op, counts(1), A72).least))
    assert op_limit(op, slow, A72, packs=False).reason not in ("", "im2col")
    assert op_limit(product("INT8", 4, 4, 4), IDLE, A72, packs=False).reason == "arithmetic"


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        (product("INT8", 4, 4, 4), "packing"),
        (OpWork("FULLY_CONNECTED", "INT8", (1, 4), ((1, 64), (4, 64))), "packing"),
        (
            OpWork("DEPTHWISE_CONV_2D", "INT8", (1, 4, 4, 4), ((1, 4, 4, 4), (1, 3, 3, 4))),
            "arithmetic",
        ),
        (OpWork("RESIZE_BILINEAR", "INT8", (1, 8, 8, 4), ((1, 4, 4, 4), (2,))), "arithmetic"),
        (plain("EXP"), "arithmetic"),
    ],
)
def test_only_products_are_packed(op: OpWork, reason: str) -> None:
    assert op_limit(op, IDLE, A72).reason == reason


def test_a_resize_to_a_smaller_image_reads_four_values_for_each_at_the_most() -> None:
    for side, read in ((2, 16), (16, 1024), (40, 1024), (80, 1024)):
        op = OpWork("RESIZE_BILINEAR", "FLOAT32", (1, side, side, 1), ((1, 32, 32, 1), (2,)))
        found = op_limit(op, counts(10**6), A72)
        assert found.bytes == 4 * (read + 2 + side * side)


def test_the_two_largest_reasons_of_several_ops() -> None:
    limits = [
        RooflineLimit(c, 1, 0, 0, r) for c, r in ((9, "loads"), (5, ""), (4, "issue"), (6, "issue"))
    ]
    assert main_reasons(limits) == ["issue", "loads"]
    assert main_reasons([]) == []
    # Together they reach half of their limit.
    assert main_reasons([*limits, RooflineLimit(15, 15, 0, 0, "")]) == ["issue", "loads"]
    assert main_reasons([*limits, RooflineLimit(16, 16, 0, 0, "")]) == []


def test_the_page_has_every_op_and_escapes_names(tmp_path: object) -> None:
    from pathlib import Path

    work = [convolution(32), plain("ADD"), product("FLOAT32", 9, 9, 9)]
    counted = model_counts([(op.name, counts(100_000 * (i + 1))) for i, op in enumerate(work)])
    found = predict_latency(counted, work, shipped())
    hostile = dataclasses.replace(found, file="<script>.tflite", judged=True)
    assert warnings(hostile)
    target = Path(str(tmp_path)) / "page.html"
    write_page(target, [hostile, found])
    text = target.read_text()
    assert "<script>" not in text
    assert "&lt;script&gt;.tflite" in text
    shown = re.findall(r"<li>(.*?)</li>", text)
    assert shown == [html.escape(line) for each in (hostile, found) for line in warnings(each)]
    # Dots of ops with products, in two models, for a screen and for a phone.
    assert text.count("<circle") == 2 * 2 * 2
    widths = [int(width) for width in re.findall(r'viewBox="0 0 (\d+) ', text)]
    assert len(widths) == 4 and min(widths) <= 390 - 40
    for op in found.ops:
        assert f"{op.index} {op.name} {op.shape}" in text
    # On a phone a type breaks at its underscores; an op without a reason may be on one thread.
    assert 'scope="row">CONV_<wbr>2D' in text
    assert not re.findall(r"<td>\s*,", text)
    table = kinds(found.ops)
    assert [kind.name for kind in table] == ["CONV_2D", "ADD"]
    assert sum(kind.cycles for kind in table) == pytest.approx(0.6)
    assert sum(kind.ms for kind in table) == pytest.approx(sum(op.ms for op in found.ops))
