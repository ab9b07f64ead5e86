"""bench-depth-native, cross compiled, on the emulated Pi."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from ghostdepth_export.pi4.emulator import Machine
from ghostdepth_export.ship.native import build_native

from tests.arm64.conftest import need

from .program import FILES, HEIGHT, PROGRAM, THREADS, WIDTH, Native, Run


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("cmake", "cmake")
    need("aarch64-linux-gnu-g++", "g++-aarch64-linux-gnu")
    return build_native(tmp_path_factory.mktemp("native"))


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that is mounted at /work on the Pi."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture(scope="session")
def pi(bullseye: Machine, program: Path, work: Path) -> Machine:
    shares = {program.parent: "/native", work: "/work", Path(__file__).parent: "/scripts"}
    return dataclasses.replace(bullseye, shares={**bullseye.shares, **shares})


@pytest.fixture
def native(pi: Machine) -> Native:
    def run(*arguments: object) -> Run:
        return pi.run([PROGRAM, *map(str, arguments)], cwd="/work", check=False)

    return run


@pytest.fixture(scope="session")
def picture(work: Path) -> Path:
    """Noise, as raw RGB and as a .ppm."""
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    (work / "picture.rgb").write_bytes(pixels.tobytes())
    header = f"P6\n# noise\n{WIDTH} {HEIGHT}\n255\n".encode()
    (work / "picture.ppm").write_bytes(header + pixels.tobytes())
    return work / "picture.rgb"


@pytest.fixture(scope="session")
def reference(pi: Machine, work: Path, picture: Path) -> Path:
    for threads in THREADS:
        (work / f"python-{threads}").mkdir()
        places = [str(threads), f"/work/{picture.name}", f"/work/python-{threads}"]
        pi.run(
            ["python3", "/scripts/tensors.py", *places, *(f"/models/{file}" for file in FILES)],
            env={"PYTHONPATH": "/opt/litert21", "PYTHONDONTWRITEBYTECODE": "1"},
        )
    return work
