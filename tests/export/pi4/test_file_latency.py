"""What predicts a network's file for a budget: whose op is whose, and what is kept."""

from __future__ import annotations

import itertools
import random
import re
import typing
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from ghostdepth_export.convert.aten import BLOCK_CHANNELS
from ghostdepth_export.convert.flatbuffer import op_name, unpack
from ghostdepth_export.convert.source import ExportSource
from ghostdepth_export.convert.tflite import convert
from ghostdepth_export.pi4.budget import FileLatency, basis
from ghostdepth_export.pi4.budget import file_latency as clock
from ghostdepth_export.pi4.budget.layers import onnx_layers, op_layers, xnnpack_layers
from ghostdepth_export.pi4.counter import RUNTIMES, ModelCounts, OpCounts
from ghostdepth_export.pi4.counter.listing import NOTHING
from ghostdepth_export.pi4.counter.plugin import Qemu
from ghostdepth_export.pi4.latency import BOARDS, OpWork
from ghostdepth_export.pi4.latency.runtimes import read_structure
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.config import parse_config
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.latency import LatencyBudget, TargetRuntime
from torch import nn

from tests.export.conftest import Command
from tests.export.pi4.synthetic_counts import library_counts


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


def counted_ops(library: str, ops: Sequence[tuple[str, str]]) -> ModelCounts:
    """Counts of ops by their types and names."""
    return library_counts(
        library, *(OpCounts(i, *op, "1x2", NOTHING, 1) for i, op in enumerate(ops))
    )


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("file", ["toy-int8.tflite", "toy-fp32.tflite"])
def test_xnnpacks_convolutions_are_the_files_in_order_whatever_runs_between_them(
    exported: Path, checkpoint: Path, file: str, seed: int
) -> None:
    choose = random.Random(seed)
    network, data = load_checkpoint(checkpoint).network, (exported / file).read_bytes()
    wanted = [name for name, own in op_layers(data, network) if own]
    kinds = ["Convolution (NHWC, QC8) DWConv", "Fully Connected (NC, F32) GEMM", "CONV_2D"]
    ops: list[str] = []
    for _ in wanted:
        others = ["Copy (NC, X8)", "Add (ND)", "Resize Bilinear (NHWC)", "QUANTIZE"]
        ops += [*choose.choices(others, k=choose.randrange(3)), choose.choice(kinds)]
    counts = counted_ops("litert", [(kind, "") for kind in [*ops, "Exp (NC)"]])
    layers = xnnpack_layers(counts, data, network)
    assert [name for name, own in layers if own] == wanted
    assert [own for _, own in layers] == [kind in kinds for kind in [*ops, "Exp (NC)"]]
    for (before, _), (name, own) in itertools.pairwise(layers):
        assert own or name == ("" if before == "head" else before)
    with pytest.raises(UserError, match=f"LiteRT runs 1 convolutions.* has {len(wanted)}"):
        xnnpack_layers(counted_ops("litert", [("CONV_2D", "")]), data, network)


@pytest.mark.parametrize("file", ["toy-int8.onnx", "toy-fp32.onnx"])
def test_onnx_runtimes_convolutions_are_found_by_name_in_any_order(
    exported: Path, checkpoint: Path, file: str
) -> None:
    import onnx

    network, data = load_checkpoint(checkpoint).network, (exported / file).read_bytes()
    nodes = [(n.op_type, n.name) for n in onnx.ModelProto.FromString(data).graph.node]
    random.Random(0).shuffle(nodes)
    # Some are replaced by others with a number behind the name.
    nodes = [(k, f"{n}_token_{i}" if i % 2 else n) for i, (k, n) in enumerate(nodes)]
    layers = onnx_layers(counted_ops("onnxruntime", nodes), data)
    own = [name for name, is_own in layers if is_own]
    assert [is_own for _, is_own in layers] == [kind == "Conv" for kind, _ in nodes]
    convolutions = [name for name, m in network.named_modules() if isinstance(m, nn.Conv2d)]
    assert sorted(own) == sorted(convolutions)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Replaces exporting and emulating; the names of what was counted."""
    made: list[str] = []

    def count(path: Path, root: Path, *, runtime: str, cpu: str) -> ModelCounts:
        made.append(path.read_text())
        return counted_ops(runtime, [("ADD", "x")])

    def file(network: DepthNet, budget: LatencyBudget, camera: tuple[int, int]) -> bytes:
        return f"{network.config.input_height} {budget.file}".encode()

    monkeypatch.setenv("GHOSTDEPTH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(clock, "count", count)
    monkeypatch.setattr(clock, "build_file", file)
    monkeypatch.setattr(clock, "find_qemu", lambda: Qemu("qemu", "7"))
    monkeypatch.setattr(clock, "build_plugin", lambda plugin: Path("plugin.so"))
    monkeypatch.setattr(clock, "build_root", lambda *_: tmp_path)
    work = OpWork("ADD", "FLOAT32", (1, 2), ((1, 2), ()))
    monkeypatch.setattr(clock, "read_work", lambda _: [work])
    for function in ("op_layers", "xnnpack_layers", "onnx_layers"):
        name = f"ghostdepth_export.pi4.budget.layers.{function}"
        monkeypatch.setattr(name, lambda *_: [("stem", False)])
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


@pytest.mark.parametrize("runtime", ["litert", "onnxruntime"])
def test_a_network_is_counted_in_each_runtime_and_for_a_pi_5_only_where_instructions_differ(
    counted: list[str], make_network: Callable[..., DepthNet], runtime: TargetRuntime
) -> None:
    network, made = make_network(), 0
    FileLatency()(network, LatencyBudget(ms=1))
    for file, of_boards in (("int8", (1, 1, 2, 2)), ("fp32", (1, 1, 1, 1))):
        for board, number in zip(BOARDS, of_boards, strict=True):
            asked = {"ms": 1, "file": file, "board": board, "runtime": runtime}
            found = FileLatency()(network, LatencyBudget.model_validate(asked))
            assert [(op.kind, op.layer) for op in found] == [("ADD", "stem"), (clock.OUTSIDE, "")]
            assert len(counted) == 1 + made + number
        made += number


def test_pruning_knows_the_same_runtimes() -> None:
    assert set(typing.get_args(TargetRuntime)) == set(RUNTIMES)
    with pytest.raises(UserError, match=r"runtime: .*'2.5', 'litert' or 'onnxruntime'"):
        parse_config(LatencyBudget, {"ms": 1, "runtime": "ncnn"}, "the time budget")


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--runtime", "ncnn"), "runtime: .*'2.5', 'litert' or 'onnxruntime'"),
        (("--board", "rpi6"), "board: .*'rpi4', 'rpi4-1800', 'rpi5' or 'zero2'"),
        (("--target-file", "fp16"), "file: .*'int8' or 'fp32'"),
        (("--threads", 5), "threads: .*less than or equal to 4"),
    ],
)
@pytest.mark.parametrize("verb", ["compress", "search"])
def test_what_cannot_be_predicted_for_is_one_line_before_anything_is_read(
    verb: str,
    option: tuple[str, object],
    says: str,
    checkpoint: Path,
    tmp_path: Path,
    command: Command,
) -> None:
    words: dict[str, list[object]] = {
        "compress": ["--checkpoint", checkpoint, "--recipe", "prune", "--target-ms", 9],
        "search": ["--budget-ms", 9],
    }
    paths = ("--data", tmp_path / "no-data", "--out", tmp_path / "out")
    done = command(verb, *words[verb], *paths, *option, code=2)
    assert re.search(says, " ".join(done.err.split()))
    assert done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_budget_says_how_far_off_its_milliseconds_may_be(runtime: str, board: str) -> None:
    budget = LatencyBudget.model_validate({"ms": 9, "runtime": runtime, "board": board})
    line = basis(budget)
    assert line.startswith(f"milliseconds in {RUNTIMES[runtime].label} on a {BOARDS[board].title} ")
    less, more = (int(word[:-1]) for word in line.split() if word.endswith("%"))
    assert 0 < less < more
    assert ("an older version" in line) == (runtime == "onnxruntime")


def test_runs_and_studies_from_before_there_were_runtimes_go_on() -> None:
    assert "runtime" not in LatencyBudget(ms=1).model_dump(mode="json")
    other = LatencyBudget(ms=1, runtime="litert")
    assert LatencyBudget.model_validate(other.model_dump(mode="json")) == other
    assert other.what == "int8 file with 4 threads in litert"


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
        clock.build_file(network, LatencyBudget(ms=1), (96, 128))


@pytest.mark.slow
def test_the_file_is_the_one_that_export_writes(
    exported: Path, checkpoint: Path, tmp_path: Path
) -> None:
    network = load_checkpoint(checkpoint).network
    for file in ("int8", "fp32"):
        asked = {"ms": 1, "file": file}
        data = clock.build_file(network, LatencyBudget.model_validate(asked), (96, 128))
        written = (exported / f"toy-{file}.tflite").read_bytes()
        assert shapes(data) == shapes(written)
        budget = LatencyBudget.model_validate({**asked, "runtime": "onnxruntime"})
        path = tmp_path / f"{file}.onnx"
        path.write_bytes(clock.build_file(network, budget, (96, 128)))
        assert read_structure(path) == read_structure(exported / f"toy-{file}.onnx")


def shapes(data: bytes) -> list[tuple[str, list[int], int]]:
    model = unpack(data)
    graph = model.subgraphs[0]
    outputs = [graph.tensors[op.outputs[0]] for op in graph.operators]
    return [
        (op_name(model, op), list(map(int, out.shape)), out.type)
        for op, out in zip(graph.operators, outputs, strict=True)
    ]
