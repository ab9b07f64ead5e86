"""The limits of verification pass a trained network and refuse wrong lowerings of it."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from bench_depth.core.dataset import list_pairs
from bench_depth.core.errors import UserError
from ghostdepth_export.convert.flatbuffer import op_name, pack, unpack
from ghostdepth_export.convert.formats import FORMATS, Format
from ghostdepth_export.convert.source import ExportSource, evenly
from ghostdepth_export.convert.verify import (
    Parity,
    Reference,
    check_limits,
    make_reference,
    verify,
)
from ghostdepth_train.checkpoint import load_checkpoint

ROOT = Path(__file__).resolve().parents[3]
PAIRS = evenly(list_pairs(ROOT / "samples"), 8)
# The default of Keras instead of torch's 1e-5.
WRONG_EPSILON = 1e-3
FLOAT = ("fp32.tflite", "fp16.tflite", "fp32.onnx")


@pytest.fixture(scope="module")
def trained() -> ExportSource:
    checkpoint = load_checkpoint(ROOT / "benchmarks/compression/ghostdepth-xxs")
    return ExportSource(checkpoint.network.eval(), 480, 640, PAIRS, checkpoint.ranges)


@pytest.fixture(scope="module")
def built(trained: ExportSource) -> dict[str, bytes]:
    return {name: FORMATS[name].build(trained) for name in FLOAT}


@pytest.fixture(scope="module")
def reference(trained: ExportSource) -> Reference:
    return make_reference(trained, PAIRS)


@pytest.fixture(scope="module")
def short(trained: ExportSource) -> Reference:
    return make_reference(trained, PAIRS[:2])


def measured(folder: Path, kind: Format, data: bytes, reference: Reference) -> Parity:
    path = folder / f"model{kind.suffix}"
    path.write_bytes(data)
    return verify(path, kind, reference)


def refuse(kind: Format, parity: Parity) -> None:
    with pytest.raises(UserError, match="fails its limit"):
        check_limits(kind.name, kind, parity)


@pytest.mark.parametrize("name", FLOAT)
def test_a_trained_network_passes(
    name: str, built: dict[str, bytes], reference: Reference, tmp_path: Path
) -> None:
    kind = FORMATS[name]
    check_limits(name, kind, measured(tmp_path, kind, built[name], reference))


def wrong_resizes(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """The file with one resize wrong: without half-pixel centres, or with aligned corners."""
    if name.endswith(".onnx"):
        nodes = onnx.ModelProto.FromString(data).graph.node
        for index in [i for i, node in enumerate(nodes) if node.op_type == "Resize"]:
            for mode in ("asymmetric", "align_corners"):
                model = onnx.ModelProto.FromString(data)
                for attribute in model.graph.node[index].attribute:
                    if attribute.name == "coordinate_transformation_mode":
                        attribute.s = mode.encode()
                yield f"{mode} in {nodes[index].name}", model.SerializeToString()
        return
    model = unpack(data)
    for index, op in enumerate(model.subgraphs[0].operators):
        if op_name(model, op) != "RESIZE_BILINEAR":
            continue
        right = op.builtinOptions
        for align_corners in (False, True):
            op.builtinOptions = copy.copy(right)
            op.builtinOptions.halfPixelCenters = False
            op.builtinOptions.alignCorners = align_corners
            yield f"align_corners={align_corners} in op {index}", pack(model)
        op.builtinOptions = right


@pytest.mark.parametrize("name", FLOAT)
def test_a_resize_without_half_pixel_centres_is_refused(
    name: str, built: dict[str, bytes], short: Reference, tmp_path: Path
) -> None:
    kind = FORMATS[name]
    for _, data in wrong_resizes(name, built[name]):
        refuse(kind, measured(tmp_path, kind, data, short))


@pytest.mark.parametrize("name", FORMATS)
def test_every_resize_has_half_pixel_centres(name: str, exported: Path) -> None:
    """Quantization hides a wrong resize from the limits, but the file still tells."""
    data = (exported / f"toy-{name}").read_bytes()
    if name.endswith(".onnx"):
        modes = [
            attribute.s
            for node in onnx.ModelProto.FromString(data).graph.node
            for attribute in node.attribute
            if node.op_type == "Resize" and attribute.name == "coordinate_transformation_mode"
        ]
        assert modes and set(modes) <= {b"half_pixel", b"pytorch_half_pixel"}
    else:
        model = unpack(data)
        options = [
            op.builtinOptions
            for op in model.subgraphs[0].operators
            if op_name(model, op) == "RESIZE_BILINEAR"
        ]
        assert options and all(o.halfPixelCenters and not o.alignCorners for o in options)


@pytest.mark.parametrize(
    "layer", ["encoder.bn1", "encoder.blocks.5.0.bn_dw", "decoder.2.depthwise.1"]
)
def test_a_wrong_epsilon_of_one_batch_norm_is_refused(
    layer: str,
    trained: ExportSource,
    built: dict[str, bytes],
    tmp_path: Path,
) -> None:
    # The files have the right epsilon and torch a wrong one: they are as far apart as if it were
    # the other way round.
    wrong = copy.deepcopy(trained.network)
    wrong.get_submodule(layer).eps = WRONG_EPSILON  # type: ignore[assignment]
    reference = make_reference(ExportSource(wrong, 480, 640, PAIRS), PAIRS[:2])
    for name in ("fp32.tflite", "fp32.onnx"):
        kind = FORMATS[name]
        refuse(kind, measured(tmp_path, kind, built[name], reference))
