"""A network -> its file -> its instruction counts in a runtime on the emulated CPU -> latency.

The instructions that a file executes do not depend on its weights. So the counts are cached by
config, and the network may be random.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields
from importlib.metadata import version
from typing import Any

import numpy as np
from bench_depth import __version__
from bench_depth.core.errors import UserError
from bench_depth.core.files import read_json, write_json
from bench_depth.core.temporary import fresh_folder
from ghostdepth_export.convert.source import ExportSource
from ghostdepth_export.host.cache import cache_folder, locked
from ghostdepth_export.pi4.counter import (
    RUNTIMES,
    InstructionCounts,
    ModelCounts,
    count,
    read_counts,
    write_counts,
)
from ghostdepth_export.pi4.counter.plugin import COUNTER, build_plugin, find_qemu
from ghostdepth_export.pi4.emulator import build_root
from ghostdepth_export.pi4.emulator.roots import RECIPES
from ghostdepth_export.pi4.latency import (
    LatencyPrediction,
    OpWork,
    find_board,
    predict_latency,
    read_work,
)
from ghostdepth_export.pi4.latency.runtimes import core, predict_counts, runtime_coefficients
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.latency import LatencyBudget, LayerLatency

# Raised when export writes other ops for the same network: counts that are kept are then old.
_EXPORT = 2
_CountedFile = tuple[ModelCounts, list[OpWork], list[tuple[str, bool]]]
OUTSIDE = "(outside the ops)"


def basis(budget: LatencyBudget) -> str:
    """One line: what the milliseconds of a budget are, how far off, and what each network takes."""
    known = runtime_coefficients(budget.runtime, budget.board)
    less, more = known.error(budget.ms), known.error(budget.ms) + known.uncalibrated_error
    judged = "" if known.calibrated else ", as wide as published times of an older version need"
    label = RUNTIMES[budget.runtime].label
    return (
        f"milliseconds in {label} on a {known.board} are predicted; measured ones may be "
        f"{less:.0%} less or up to {more:.0%} more{judged}. A new network is counted on the "
        "emulated Pi, some ten seconds"
    )


class FileLatency:
    """Predicts the latency of the ops in networks' files.

    Each network is exported and its file is counted in the emulated Pi, which takes some ten
    seconds.

    Args:
        camera: Height and width of the images that the files take, in pixels.
        log: Called with one line of progress text while a root of the emulator is built, which
            takes minutes.

    Raises:
        UserError: When called: a program is missing, or the network cannot be exported or counted.
    """

    def __init__(
        self, camera: tuple[int, int] = (480, 640), log: Callable[[str], None] = lambda _: None
    ) -> None:
        self.camera = camera
        self.log = log

    def __call__(self, network: DepthNet, budget: LatencyBudget) -> list[LayerLatency]:
        """The ops of the file that `budget` names, in the file's order, and the rest."""
        counts, work, layers = self._counted(network, budget)
        prediction = _predict(counts, work, budget)
        ops = [
            LayerLatency(op.name, layer, own, op.ms)
            for op, (layer, own) in zip(prediction.ops, layers, strict=True)
        ]
        return [*ops, LayerLatency(OUTSIDE, "", False, prediction.outside_ms)]

    def _counted(self, network: DepthNet, budget: LatencyBudget) -> _CountedFile:
        """Reads the counted file from the cache, or counts it and writes it there."""
        folder = cache_folder() / "budget" / self._key(network, budget)
        with locked(folder):
            # The counts are written last: if they exist, the rest does.
            if (folder / "counts.json").is_file():
                (counts,) = read_counts(folder / "counts.json")
                kept = read_json(folder / "ops.json")
                work = [OpWork(**{k: _tuples(v) for k, v in op.items()}) for op in kept["work"]]
                return counts, work, [(layer, own) for layer, own in kept["layers"]]
            counts, work, layers = self._count(network, budget)
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "ops.json", {"work": [asdict(op) for op in work], "layers": layers})
            write_counts(folder / "counts.json", [counts])
        return counts, work, layers

    def _count(self, network: DepthNet, budget: LatencyBudget) -> _CountedFile:
        from ghostdepth_export.pi4.budget.layers import onnx_layers, op_layers, xnnpack_layers

        runtime = RUNTIMES[budget.runtime]
        data = build_file(network, budget, self.camera)
        with fresh_folder("ghostdepth-latency-") as temporary:
            path = temporary / f"model{runtime.suffix}"
            path.write_bytes(data)
            root = build_root(runtime.root, self.log)
            counts = count(path, root, runtime=runtime.name, cpu=_cpu(budget))
            if runtime.suffix == ".onnx":
                return counts, [], onnx_layers(counts, data)
            if runtime.name == "litert":
                return counts, [], xnnpack_layers(counts, data, network)
            return counts, read_work(path), op_layers(data, network)

    def _key(self, network: DepthNet, budget: LatencyBudget) -> str:
        """Hash of everything that the counts depend on, and of the fields of the cached files."""
        programs = [
            __version__,
            version("tensorflow"),
            find_qemu().version,
            build_plugin(COUNTER).name,
        ]
        root = RECIPES[RUNTIMES[budget.runtime].root]
        runtime = [budget.runtime, root.lock(root.suite).read_text()]
        form = [field.name for kind in (InstructionCounts, OpWork) for field in fields(kind)]
        config = network.config.model_dump(mode="json")
        cpu, file = _cpu(budget), budget.file
        value = [programs, runtime, cpu, _EXPORT, form, self.camera, config, file]
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]


def _cpu(budget: LatencyBudget) -> str:
    """QEMU's name of the core that a file is counted on."""
    if budget.runtime == "2.5":
        return find_board(budget.board).cpu
    return core(budget.file == "int8", budget.board)


def _predict(
    counts: ModelCounts, work: Sequence[OpWork], budget: LatencyBudget
) -> LatencyPrediction:
    known = runtime_coefficients(budget.runtime, budget.board)
    if budget.runtime == "2.5":
        return predict_latency(counts, work, known, budget.threads)
    return predict_counts(counts, known, budget.threads)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def build_file(network: DepthNet, budget: LatencyBudget, camera: tuple[int, int]) -> bytes:
    """The file of a network for a budget, as export writes it except for ranges and metadata.

    Raises:
        UserError: The network has adders, or cannot be exported.
    """
    if network.config.adder:
        raise UserError(
            "adders cannot be exported, so their latency cannot be predicted; prune before `adder`"
        )
    source = ExportSource(network.eval(), *camera, ())
    random = np.random.default_rng(0)
    inputs = source.with_states([random.uniform(0, 255, source.input_shape).astype(np.float32)])
    if RUNTIMES[budget.runtime].suffix == ".onnx":
        from ghostdepth_export.convert import onnx_files

        model = source.onnx_model
        if budget.file == "int8":
            model = onnx_files.convert_int8(model, inputs)
        return bytes(model.SerializeToString())
    from ghostdepth_export.convert import tflite

    if budget.file == "fp32":
        return tflite.convert(source.lowered)
    return tflite.convert_int8(source.lowered_trunk, source.lowered_tail, inputs)
