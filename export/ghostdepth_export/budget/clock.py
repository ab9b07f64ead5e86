"""A network -> its file -> its counts on the emulated processor -> milliseconds, op by op.

What a file takes does not depend on the weights in it. So one answer is kept in the cache for each
config, and the network may be random.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from bench_depth import __version__
from bench_depth.errors import UserError
from bench_depth.files import write_json
from ghostdepth_export.cache import cache_folder, locked
from ghostdepth_export.counter import count
from ghostdepth_export.counter.plugin import build_plugin, find_qemu
from ghostdepth_export.emulator import build_root
from ghostdepth_export.predict import Coefficients, predict, read_work, shipped
from ghostdepth_export.source import Source
from ghostdepth_train.compress.budget import Budget, OpTime, TargetFile
from ghostdepth_train.network import DepthNet

# Of what is kept; another number makes everything anew.
_FORM = 1
OUTSIDE = "(outside the ops)"


class FileClock:
    """Predicts the ops of networks' files.

    Args:
        coefficients: Of the board; the shipped Raspberry Pi 4 where None.
        camera: Height and width of the photos that the files take.
        say: Told when a root of the emulator is built, which takes minutes.

    Raises:
        UserError: When called: a program is missing, or the network cannot be exported or counted.
    """

    def __init__(
        self,
        coefficients: Coefficients | None = None,
        camera: tuple[int, int] = (480, 640),
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.coefficients = coefficients or shipped()
        self.camera = camera
        self.say = say

    def __call__(self, network: DepthNet, budget: Budget) -> list[OpTime]:
        """The ops of the file that `budget` names, in the file's order, and what is around them."""
        kept = cache_folder() / "times" / f"{self._key(network, budget)}.json"
        with locked(kept):
            if kept.is_file():
                return [OpTime(**entry) for entry in json.loads(kept.read_text())]
            ops = self._ops(network, budget)
            write_json(kept, [asdict(op) for op in ops])
        return ops

    def _ops(self, network: DepthNet, budget: Budget) -> list[OpTime]:
        from ghostdepth_export.budget.layers import op_layers

        data = build_file(network, budget.file, self.camera)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.tflite"
            path.write_bytes(data)
            counts, work = count(path, self._root), read_work(path)
        prediction = predict(counts, work, self.coefficients, budget.threads)
        ops = [
            OpTime(op.name, layer, own, op.ms)
            for op, (layer, own) in zip(prediction.ops, op_layers(data, network), strict=True)
        ]
        return [*ops, OpTime(OUTSIDE, "", False, prediction.outside_ms)]

    @cached_property
    def _root(self) -> Path:
        return build_root("bullseye", self.say)

    @cached_property
    def _place(self) -> list[Any]:
        """What a time depends on beside the network and the file."""
        coefficients = asdict(self.coefficients)
        coefficients["calibrated"] = sorted(coefficients["calibrated"])
        programs = [__version__, version("tensorflow"), find_qemu().version, build_plugin().name]
        return [_FORM, coefficients, programs, self.camera]

    def _key(self, network: DepthNet, budget: Budget) -> str:
        config = network.config.model_dump(mode="json")
        value = [*self._place, config, budget.file, budget.threads]
        return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:24]


def build_file(network: DepthNet, file: TargetFile, camera: tuple[int, int]) -> bytes:
    """The .tflite file of a network, as export writes it but for ranges and metadata.

    Raises:
        UserError: The network has adders, or cannot be exported.
    """
    from ghostdepth_export import tflite

    if network.config.adder:
        raise UserError(
            "adders cannot be exported, so nothing predicts their time; prune before `adder`"
        )
    source = Source(network.eval(), *camera, ())
    if file == "fp32":
        return tflite.convert(source.lowered)
    random = np.random.default_rng(0)
    pictures = [random.uniform(0, 255, source.input_shape).astype(np.float32)]
    return tflite.convert_int8(source.lowered_trunk, source.lowered_tail, pictures)
