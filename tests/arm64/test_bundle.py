"""Bundles with the real wheels, installed on emulated Pis that have no bench-depth."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from bench_depth.results.records import load
from ghostdepth_export.pi4.emulator import Machine
from ghostdepth_export.ship.bundle import build_bundle

from .conftest import REPOSITORY

SAMPLES = REPOSITORY / "samples"
QUICK = ["--warmup", "0", "--min-runs", "1", "--min-time", "0"]
CURRENT = "/home/pi/ghostdepth/current"


def build(target: str, home: Path, name: str, models: list[Path]) -> str:
    return build_bundle(target, models, home / name, samples=SAMPLES)


def install(machine: Machine, name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return machine.run(["sh", f"{name}/install", *arguments], check=False)


def measured(machine: Machine) -> dict[str, str]:
    """What `current` gives for its models: each file's name with the runtime that ran it."""
    command = f"{CURRENT}/bench-depth --json results.json {' '.join(QUICK)}"
    models = f'for model in {CURRENT}/models/*; do set -- "$@" --model "$model"; done'
    done = machine.run(["sh", "-c", f'{models}; {command} "$@"'], check=False)
    assert done.returncode == 0, done.stderr
    assert "median" in done.stdout
    assert machine.home is not None
    results = load(machine.home / "results.json")
    assert results.context.board.architecture == "aarch64"
    return {m.file: f"{m.runtime.name} {m.runtime.version}" for m in results.models}


@pytest.fixture(scope="module")
def bullseye_pi(
    bullseye_root: Path, exported: Path, tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """A Pi with bundle `one` (int8) installed and bundle `two` (fp16) copied to it."""
    home = tmp_path_factory.mktemp("bullseye")
    machine = Machine(bullseye_root, home=home)
    build("rpi4-bullseye", home, "one", [exported / "ghostdepth-s-int8.tflite"])
    build("rpi4-bullseye", home, "two", [exported / "ghostdepth-s-fp16.tflite"])
    done = install(machine, "one")
    assert done.returncode == 0, done.stderr
    return machine


INT8 = {"ghostdepth-s-int8.tflite": "tflite_runtime 2.5.0.post1"}
FP16 = {"ghostdepth-s-fp16.tflite": "tflite_runtime 2.5.0.post1"}


def test_a_bare_bullseye_measures_with_tflite_2_5(bullseye_pi: Machine) -> None:
    assert measured(bullseye_pi) == INT8


def test_a_new_model_and_back(bullseye_pi: Machine) -> None:
    done = install(bullseye_pi, "two")
    assert done.returncode == 0, done.stderr
    assert "Python packages" not in done.stdout
    assert measured(bullseye_pi) == FP16
    done = bullseye_pi.run([f"{CURRENT}/install", "--rollback"], check=False)
    assert done.returncode == 0, done.stderr
    assert measured(bullseye_pi) == INT8


def test_neither_pip_nor_ensurepip_nor_distutils_is_needed(bullseye_pi: Machine) -> None:
    # Debian packs each of them apart from python3; what is removed here is back afterwards.
    remove = "cd /usr/lib/python3.9; rm -rf distutils ensurepip; cd"
    for name in ("pip", "distutils.cmd", "ensurepip"):
        script = f"{remove}; python3 -c 'import {name}'"
        assert bullseye_pi.run(["sh", "-c", script], check=False).returncode == 1
    command = "sh one/install --prefix '/tmp/a b' && '/tmp/a b/current/bench-depth' --version"
    script = f"{remove}; {command}"
    done = bullseye_pi.run(["sh", "-c", script], check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("bench-depth ")


@pytest.mark.parametrize("name", ["trixie", pytest.param("bookworm", marks=pytest.mark.nightly)])
def test_a_pi_of_today_measures_both_kinds(
    name: str, exported: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    machine = Machine(request.getfixturevalue(f"{name}_root"), home=tmp_path)
    models = [exported / f"ghostdepth-s-int8.{kind}" for kind in ("tflite", "onnx")]
    build(f"rpi4-{name}", tmp_path, "one", models)
    done = install(machine, "one")
    assert done.returncode == 0, done.stderr
    runtimes = json.loads((tmp_path / "one" / "manifest.json").read_text())["runtime"]
    assert measured(machine) == {
        "ghostdepth-s-int8.tflite": f"ai_edge_litert {runtimes['ai-edge-litert']}",
        "ghostdepth-s-int8.onnx": f"onnxruntime {runtimes['onnxruntime']}",
    }


def test_an_onnx_model_runs_on_bullseye_too(
    bullseye_root: Path, exported: Path, tmp_path: Path
) -> None:
    machine = Machine(bullseye_root, home=tmp_path)
    build("rpi4-bullseye", tmp_path, "one", [exported / "ghostdepth-s-int8.onnx"])
    done = install(machine, "one")
    assert done.returncode == 0, done.stderr
    assert measured(machine) == {"ghostdepth-s-int8.onnx": "onnxruntime 1.19.2"}


def test_the_bundle_of_another_release_is_refused(bullseye_pi: Machine, exported: Path) -> None:
    assert bullseye_pi.home is not None
    build("rpi4-trixie", bullseye_pi.home, "three", [exported / "ghostdepth-s-int8.tflite"])
    done = install(bullseye_pi, "three")
    assert done.returncode == 11
    assert "Python here is 3.9, the bundle is for 3.13 (rpi4-trixie)" in done.stderr
    current = bullseye_pi.home / "ghostdepth/current/models"
    assert [model.name for model in current.iterdir()] == list(INT8)


def test_a_workstation_is_refused(bullseye_pi: Machine, tmp_path: Path) -> None:
    assert bullseye_pi.home is not None
    command = ["sh", str(bullseye_pi.home / "one/install"), "--prefix", str(tmp_path / "p")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 10
    assert "the bundle is for aarch64" in done.stderr
    assert not (tmp_path / "p").exists()
