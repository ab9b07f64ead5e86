"""What predicts a network's file for a budget: whose op is whose, and what is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from ghostdepth_export.convert.aten import BLOCK_CHANNELS
from ghostdepth_export.convert.flatbuffer import op_name, unpack
from ghostdepth_export.convert.source import ExportSource
from ghostdepth_export.convert.tflite import convert
from ghostdepth_export.pi4.budget import FileLatency
from ghostdepth_export.pi4.budget import file_latency as clock
from ghostdepth_export.pi4.budget.layers import op_layers
from ghostdepth_export.pi4.counter import InstructionCounts, ModelCounts, OpCounts
from ghostdepth_export.pi4.counter.plugin import Qemu
from ghostdepth_export.pi4.latency import OpWork
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.latency import LatencyBudget
from torch import nn

NOTHING = InstructionCounts(*[0] * len(InstructionCounts.__dataclass_fields__))


@pytest.mark.parametrize("file", ["toy-int8.tflite", "toy-fp32.tflite"])
def test_every_op_goes_with_the_convolution_whose_channels_it_has(
    exported: Path, checkpoint: Path, file: str
) -> None:
    network = load_checkpoint(checkpoint).network
    data = (exported / file).read_bytes()
    model = unpack(data)
    graph = model.subgraphs[0]
    layers = op_layers(data, network)
    convolutions = {name: m for name, m in network.named_modules() if isinstance(m, nn.Conv2d)}
    assert {name for name, own in layers if own} == convolutions.keys()
    for op, (name, own) in zip(graph.operators, layers, strict=True):
        channels = int(graph.tensors[op.outputs[0]].shape[-1])
        if own or (name and op_name(model, op) != "CONCATENATION"):
            ghost = ".ghost" in name and not own
            width = BLOCK_CHANNELS if name == "head" else convolutions[name].out_channels
            assert channels in ((width, 2 * width) if ghost else (width,)), (name, channels)
    # The camera's picture comes in and the depth goes out at sizes that no width changes.
    assert layers[0] == ("", False) and layers[-1] == ("", False)
    last = max(index for index, (name, _) in enumerate(layers) if name)
    assert layers[last] == ("head", True)


def test_a_head_of_several_pixels_is_found_in_its_blocks(
    make_network: Callable[..., DepthNet],
) -> None:
    network = make_network(decoder={"widths": [16, 8], "upsample": 2})
    data = convert(ExportSource(network, 60, 80, ()).lowered)
    model = unpack(data)
    found = zip(model.subgraphs[0].operators, op_layers(data, network), strict=True)
    own = [op_name(model, op) for op, layer in found if layer == ("head", True)]
    assert own == ["CONV_2D"]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Replaces exporting and emulating; the names of what was counted."""
    made: list[str] = []

    def count(path: Path, root: Path, *, cpu: str) -> ModelCounts:
        made.append(path.read_text())
        op = OpCounts(0, "ADD", "x", "1x2", NOTHING)
        return ModelCounts("m", "2.5", "cortex-a72", "7", NOTHING, NOTHING, [op])

    def file(network: DepthNet, kind: str, camera: tuple[int, int]) -> bytes:
        return f"{network.config.input_height} {kind}".encode()

    monkeypatch.setenv("GHOSTDEPTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(clock, "count", count)
    monkeypatch.setattr(clock, "build_file", file)
    monkeypatch.setattr(clock, "find_qemu", lambda: Qemu("qemu", "7"))
    monkeypatch.setattr(clock, "build_plugin", lambda: Path("plugin.so"))
    monkeypatch.setattr(clock, "build_root", lambda *_: tmp_path)
    work = OpWork("ADD", "FLOAT32", (1, 2), ((1, 2), ()))
    monkeypatch.setattr(clock, "read_work", lambda _: [work])
    monkeypatch.setattr(
        "ghostdepth_export.pi4.budget.layers.op_layers", lambda *_: [("stem", False)]
    )
    return made


def test_a_network_is_counted_once_whatever_its_weights_and_threads(
    counted: list[str], make_network: Callable[..., DepthNet]
) -> None:
    network = make_network()
    first = FileLatency()(network, LatencyBudget(ms=1))
    for parameter in network.parameters():
        parameter.data += 1
    assert FileLatency()(network, LatencyBudget(ms=2, threads=1)) == first
    assert [(op.kind, op.layer) for op in first] == [("ADD", "stem"), (clock.OUTSIDE, "")]
    assert len(counted) == 1
    FileLatency()(network, LatencyBudget(ms=1, file="fp32"))
    FileLatency()(make_network(input_height=96), LatencyBudget(ms=1))
    FileLatency(camera=(240, 320))(network, LatencyBudget(ms=1))
    assert counted == ["64 int8", "64 fp32", "96 int8", "64 int8"]
    # Another clock needs no counts of its own, another core does.
    for board, number in (("rpi4-1800", 4), ("rpi5", 5), ("zero2", 6), ("rpi5", 6)):
        FileLatency()(network, LatencyBudget.model_validate({"ms": 1, "board": board}))
        assert len(counted) == number


def test_what_was_cut_off_while_it_was_written_is_counted_again(
    counted: list[str], make_network: Callable[..., DepthNet], tmp_path: Path
) -> None:
    network = make_network()
    first = FileLatency()(network, LatencyBudget(ms=1))
    (kept,) = (tmp_path / "cache" / "budget").glob("*/counts.json")
    kept.unlink()
    assert FileLatency()(network, LatencyBudget(ms=1)) == first
    assert len(counted) == 2


def test_adders_are_refused_in_one_line(make_network: Callable[..., DepthNet]) -> None:
    network = make_network(adder=("decoder.0.pointwise.0",))
    with pytest.raises(UserError, match="prune before `adder`"):
        clock.build_file(network, "int8", (96, 128))


@pytest.mark.slow
def test_the_file_is_the_one_that_export_writes(
    exported: Path, checkpoint: Path, make_network: Callable[..., DepthNet]
) -> None:
    network = load_checkpoint(checkpoint).network
    for file in ("int8", "fp32"):
        data = clock.build_file(network, file, (96, 128))  # type: ignore[arg-type]
        written = (exported / f"toy-{file}.tflite").read_bytes()
        assert shapes(data) == shapes(written)


def shapes(data: bytes) -> list[tuple[str, list[int], int]]:
    model = unpack(data)
    graph = model.subgraphs[0]
    outputs = [graph.tensors[op.outputs[0]] for op in graph.operators]
    return [
        (op_name(model, op), list(map(int, out.shape)), out.type)
        for op, out in zip(graph.operators, outputs, strict=True)
    ]
