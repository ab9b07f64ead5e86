"""Every released file on the Pi: it runs, and its depth is the workstation's."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_depth.core.dataset import list_pairs, read_pair
from bench_depth.core.metrics import depth_metrics, mean_metrics
from bench_depth.results import records as results
from ghostdepth_export.pi4.emulator import Machine

from tests.arm64 import run_models as predict

from .conftest import REPOSITORY

SAMPLES = REPOSITORY / "samples"
# Emulation takes half a second a picture. A difference between float files shows in a few; the mean
# error of int8 files, whose single pixels differ, needs all.
PICTURES = {"fp32": 4, "fp16": 4, "dynamic": 16, "int8": 48}
VARIANTS = ("fp32.tflite", "fp16.tflite", "dynamic.tflite", "int8.tflite")
FILES = {"bullseye": VARIANTS, "trixie": (*VARIANTS, "fp32.onnx", "int8.onnx")}
STEPS = 3
CASES = [(machine, variant) for machine, variants in FILES.items() for variant in variants]


def file(variant: str) -> str:
    return f"ghostdepth-s-{variant}"


def wanted(name: str, folder: str) -> list[str]:
    """Arguments for run_models.py: the files of a Pi, each with its number of pictures."""
    counts = {variant: PICTURES[variant.partition(".")[0]] for variant in FILES[name]}
    return [f"{count}:{folder}/{file(variant)}" for variant, count in counts.items()]


@pytest.fixture(scope="session")
def on_host(exported: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("host")
    predict.main(str(SAMPLES), str(folder), *wanted("trixie", str(exported)))
    return folder


@pytest.fixture(scope="session")
def on_pi(
    bullseye: Machine, trixie: Machine, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    folders = {}
    for name, machine in {"bullseye": bullseye, "trixie": trixie}.items():
        folders[name] = tmp_path_factory.mktemp(name)
        shares = {**machine.shares, folders[name]: "/out", Path(__file__).parent: "/scripts"}
        dataclasses.replace(machine, shares=shares).run(
            ["python3", "/scripts/run_models.py", "/samples", "/out", *wanted(name, "/models")],
            env={"PYTHONDONTWRITEBYTECODE": "1"},
        )
    return folders


def step_of_log_depth(model: Path) -> float:
    """What one step of the int8 log-depth is, which the file's last float ops turn to metres."""
    if model.suffix == ".onnx":
        return _step_in_onnx(model)
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    # A delegate would hide the ops that it took over.
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter: Any = Interpreter(str(model), experimental_op_resolver_type=plain)
    ops = [op for op in interpreter._get_ops_details() if op["op_name"] == "DEQUANTIZE"]
    (tensor,) = ops[-1]["inputs"]
    (details,) = [d for d in interpreter.get_tensor_details() if d["index"] == tensor]
    return float(details["quantization"][0])


def _step_in_onnx(model: Path) -> float:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(model).graph
    values = {tensor.name: tensor for tensor in graph.initializer}
    last = [node for node in graph.node if node.op_type == "DequantizeLinear"][-1]
    return float(numpy_helper.to_array(values[last.input[1]]))


@pytest.mark.parametrize(("machine", "variant"), CASES)
def test_depth_is_the_workstations(
    machine: str, variant: str, on_host: Path, on_pi: dict[str, Path], exported: Path
) -> None:
    name = f"{file(variant)}.npy"
    here, there = np.load(on_host / name), np.load(on_pi[machine] / name)
    if variant.startswith(("fp32", "fp16")):
        np.testing.assert_allclose(there, here, rtol=1e-4)
        return
    # Rounding differs between architectures and versions in one value of some thousand, and grows
    # over the layers. Runs whose errors had nothing in common would differ by sqrt(2) of what
    # quantizing does to each.
    step = step_of_log_depth(exported / file(variant.replace("dynamic", "int8")))
    steps = np.abs(np.log(there / here)) / step
    assert np.mean(steps > STEPS * 1.001) <= 0.1
    exact = np.load(on_host / f"{file('fp32.tflite')}.npy")
    quantizing = np.log(here[: len(exact)] / exact) / step
    assert rms(steps[: len(exact)]) < math.sqrt(2) * rms(quantizing)
    # What quantizing itself may cost.
    assert si_rmse(there) == pytest.approx(si_rmse(here), rel=0.01)


def rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.mean(values**2)))


def si_rmse(depths: np.ndarray) -> float:
    metrics = [
        depth_metrics(depth * 1000.0, read_pair(pair)[1])
        for pair, depth in zip(list_pairs(SAMPLES), depths, strict=False)
    ]
    return mean_metrics([m for m in metrics if m is not None]).si_rmse


@pytest.mark.parametrize(("name", "python"), [("bullseye", "3.9"), ("trixie", "3.13")])
def test_bench_depth_measures_every_file(
    name: str, python: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    machine: Machine = dataclasses.replace(request.getfixturevalue(name), home=tmp_path)
    files = [file(variant) for variant in FILES[name]]
    models = [part for f in files for part in ("--model", f"/models/{f}")]
    quick = ["--warmup", "1", "--min-runs", "2", "--min-time", "0"]
    done = machine.run(["bench-depth", *models, *quick, "--json", "results.json"])
    measured = results.load(tmp_path / "results.json")
    assert [record.file for record in measured.models] == files
    assert measured.context.python.startswith(python)
    assert measured.context.board.cpu == "Cortex-A72"
    assert measured.context.board.emulated
    for record in measured.models:
        assert "emulated" in record.warnings
        assert record.file in done.stdout
    if name == "bullseye":
        assert {r.runtime.version for r in measured.models} == {"2.5.0.post1"}
        assert {r.runtime.xnnpack for r in measured.models} == {False}
