"""A network -> its file -> its instruction counts on the emulated CPU -> latency, op by op.

The instructions that a file executes do not depend on its weights. So the counts are cached by
config, and the network may be random.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, fields
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from bench_depth import __version__
from bench_depth.core.errors import UserError
from bench_depth.core.files import read_json, write_json
from ghostdepth_export.convert.source import ExportSource
from ghostdepth_export.host.cache import cache_folder, locked
from ghostdepth_export.pi4.counter import (
    InstructionCounts,
    ModelCounts,
    count,
    read_counts,
    write_counts,
)
from ghostdepth_export.pi4.counter.graph import RUNTIME
from ghostdepth_export.pi4.counter.plugin import CPU, build_plugin, find_qemu
from ghostdepth_export.pi4.emulator import build_root
from ghostdepth_export.pi4.latency import (
    Coefficients,
    OpWork,
    board_coefficients,
    find_board,
    predict_latency,
    read_work,
)
from ghostdepth_train.models.network import DepthNet
from ghostdepth_train.pruning.latency import LatencyBudget, LayerLatency, TargetFile

# Raised when export writes other ops for the same network: counts that are kept are then old.
_EXPORT = 2
_CountedFile = tuple[ModelCounts, list[OpWork], list[tuple[str, bool]]]
OUTSIDE = "(outside the ops)"


class FileLatency:
    """Predicts the latency of the ops in networks' files.

    Args:
        coefficients: Coefficients of a board with a Cortex-A72, whatever board is asked for; None
            for the shipped ones of the board.
        camera: Height and width of the images that the files take, in pixels.
        log: Called with one line of progress text while a root of the emulator is built, which
            takes minutes.

    Raises:
        UserError: When called: a program is missing, or the network cannot be exported or counted.
    """

    def __init__(
        self,
        coefficients: Coefficients | None = None,
        camera: tuple[int, int] = (480, 640),
        log: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.coefficients = coefficients
        self.camera = camera
        self.log = log

    def __call__(self, network: DepthNet, budget: LatencyBudget) -> list[LayerLatency]:
        """The ops of the file that `budget` names, in the file's order, and the rest."""
        cpu = CPU if self.coefficients else find_board(budget.board).cpu
        counts, work, layers = self._counted(network, budget.file, cpu)
        known = self.coefficients or board_coefficients(budget.board)
        prediction = predict_latency(counts, work, known, budget.threads)
        ops = [
            LayerLatency(op.name, layer, own, op.ms)
            for op, (layer, own) in zip(prediction.ops, layers, strict=True)
        ]
        return [*ops, LayerLatency(OUTSIDE, "", False, prediction.outside_ms)]

    def _counted(self, network: DepthNet, file: TargetFile, cpu: str) -> _CountedFile:
        """Reads the counted file from the cache, or counts it and writes it there."""
        folder = cache_folder() / "budget" / self._key(network, file, cpu)
        with locked(folder):
            # The counts are written last: if they exist, the rest does.
            if (folder / "counts.json").is_file():
                (counts,) = read_counts(folder / "counts.json")
                kept = read_json(folder / "ops.json")
                work = [OpWork(**{k: _tuples(v) for k, v in op.items()}) for op in kept["work"]]
                return counts, work, [(layer, own) for layer, own in kept["layers"]]
            counts, work, layers = self._count(network, file, cpu)
            folder.mkdir(parents=True, exist_ok=True)
            write_json(folder / "ops.json", {"work": [asdict(op) for op in work], "layers": layers})
            write_counts(folder / "counts.json", [counts])
        return counts, work, layers

    def _count(self, network: DepthNet, file: TargetFile, cpu: str) -> _CountedFile:
        from ghostdepth_export.pi4.budget.layers import op_layers

        data = build_file(network, file, self.camera)
        with tempfile.TemporaryDirectory() as temporary:
            path = Path(temporary) / "model.tflite"
            path.write_bytes(data)
            return count(path, self._root, cpu=cpu), read_work(path), op_layers(data, network)

    @cached_property
    def _root(self) -> Path:
        return build_root("bullseye", self.log)

    def _key(self, network: DepthNet, file: TargetFile, cpu: str) -> str:
        """Hash of everything that the counts depend on, and of the fields of the cached files."""
        programs = [__version__, version("tensorflow"), find_qemu().version, build_plugin().name]
        form = [field.name for kind in (InstructionCounts, OpWork) for field in fields(kind)]
        config = network.config.model_dump(mode="json")
        value = [programs, RUNTIME, cpu, _EXPORT, form, self.camera, config, file]
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def build_file(network: DepthNet, file: TargetFile, camera: tuple[int, int]) -> bytes:
    """The .tflite file of a network, as export writes it except for ranges and metadata.

    Raises:
        UserError: The network has adders, or cannot be exported.
    """
    from ghostdepth_export.convert import tflite

    if network.config.adder:
        raise UserError(
            "adders cannot be exported, so their latency cannot be predicted; prune before `adder`"
        )
    source = ExportSource(network.eval(), *camera, ())
    if file == "fp32":
        return tflite.convert(source.lowered)
    random = np.random.default_rng(0)
    inputs = source.with_states([random.uniform(0, 255, source.input_shape).astype(np.float32)])
    return tflite.convert_int8(source.lowered_trunk, source.lowered_tail, inputs)
