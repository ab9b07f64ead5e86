from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from ghostdepth_export.convert.flatbuffer import (
    join,
    name_ends,
    op_name,
    pack,
    resize_before_quantize,
    set_metadata,
    unpack,
)
from ghostdepth_export.convert.lowering import lower
from ghostdepth_export.convert.source import ExportSource
from ghostdepth_export.convert.tflite import convert, convert_int8
from torch import nn

from tests.export.conftest import run_tflite


def names(model: Any) -> list[str]:
    return [op_name(model, op) for op in model.subgraphs[0].operators]


def conv(inp: int, out: int) -> bytes:
    return convert(lower(nn.Conv2d(inp, out, 3, padding=1), (1, inp, 5, 7)))


def test_packing_is_the_inverse_of_unpacking() -> None:
    data = conv(3, 4)
    x = np.ones((1, 5, 7, 3), np.float32)
    np.testing.assert_array_equal(run_tflite(pack(unpack(data)), x), run_tflite(data, x))


def test_joined_models_compute_one_after_the_other() -> None:
    parts = [conv(3, 4), conv(4, 2), conv(2, 5)]
    x = np.random.default_rng(0).normal(size=(1, 5, 7, 3)).astype(np.float32)
    joined = pack(join(join(unpack(parts[0]), unpack(parts[1])), unpack(parts[2])))
    want = x
    for part in parts:
        want = run_tflite(part, want)
    np.testing.assert_allclose(run_tflite(joined, x), want, rtol=1e-5, atol=1e-6)


def test_metadata_is_added_and_replaced() -> None:
    model = unpack(conv(3, 4))
    set_metadata(model, b"note", b"first, and longer")
    set_metadata(model, b"note", b"second")
    again = unpack(pack(model))
    (entry,) = [m for m in again.metadata if m.name == b"note"]
    assert bytes(again.buffers[entry.buffer].data) == b"second"


def test_the_ends_get_their_names() -> None:
    model = unpack(conv(3, 4))
    name_ends(model, ["rgb"], ["depth"])
    graph = unpack(pack(model)).subgraphs[0]
    assert graph.tensors[graph.inputs[0]].name == b"rgb"
    assert graph.tensors[graph.outputs[0]].name == b"depth"


def test_the_resize_runs_on_bytes_before_they_are_converted(exported: Path) -> None:
    model = unpack((exported / "toy-int8.tflite").read_bytes())
    assert names(model)[:3] == ["RESIZE_BILINEAR", "QUANTIZE", "CONCATENATION"]
    before = [*model.subgraphs[0].operators]
    resize_before_quantize(model)  # it does not start with QUANTIZE any more: nothing happens
    assert model.subgraphs[0].operators == before


def test_a_model_that_starts_otherwise_is_left_alone() -> None:
    data = conv(3, 4)
    model = unpack(data)
    resize_before_quantize(model)
    assert names(model) == ["CONV_2D"]


def test_the_swap_changes_no_more_than_rounding(
    exported: Path, source: ExportSource, monkeypatch: Any
) -> None:
    from ghostdepth_export.convert import tflite

    images = source.with_states(source.calibration_images())
    swapped = (exported / "toy-int8.tflite").read_bytes()
    monkeypatch.setattr(tflite, "resize_before_quantize", lambda model: None)
    plain = convert_int8(source.lowered_trunk, source.lowered_tail, images)
    assert names(unpack(plain))[:2] == ["QUANTIZE", "RESIZE_BILINEAR"]
    bytes_in = images[0][0].astype(np.uint8)
    a, b = run_tflite(swapped, bytes_in), run_tflite(plain, bytes_in)
    assert np.mean((a - b) ** 2) < 1e-3 * np.mean(b**2)


def test_torch_is_not_left_in_training_mode() -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).train()
    lower(module, (1, 3, 5, 7))
    assert not module.training
    assert torch.is_grad_enabled()
