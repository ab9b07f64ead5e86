"""The tests of bench-depth, run on the Pi against the installed package."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ghostdepth_export.pi4.emulator import Machine

from tests.conftest import shared_folder

from .conftest import REPOSITORY

# What needs the workstation, and servers, whose patience emulation tries.
LEFT_OUT = (
    *("model/test_fuzz", "model/test_tflite25", "depth/test_depth_in_the_clone"),
    *("live/test_live_server", "live/test_live_command", "live/test_live_browser"),
    "report/test_page_browser",
)
IGNORED = [f"--ignore=tests/device/{name}.py" for name in LEFT_OUT]
# The first Pi has the oldest Python and numpy, and runs all. The second differs from the host in
# its processor, Python and builds of the runtimes: what uses none of them is not run once more.
OTHERS = [f"tests/device/{part}" for part in ("commands", "depth", "machine", "model", "timing")]
PARTS = {"bullseye": ["tests/device"], "bookworm": OTHERS, "trixie": OTHERS}
OPTIONS = ["-v", "-rs", "-p", "no:cacheprovider"]
PI_TESTS = "not same_everywhere"


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model files that these tests make; they are made by running those tests here.

    .ci/run has them already, of `make test`.
    """
    if kept := os.environ.get("BENCH_DEPTH_TEST_MODELS"):
        return Path(kept)

    def make(folder: Path) -> None:
        own = {name: value for name, value in os.environ.items() if "XDIST" not in name}
        subprocess.run(
            [
                *(sys.executable, "-m", "pytest", *OPTIONS),
                *("-m", f"model_files and {PI_TESTS}", "tests/device", *IGNORED),
            ],
            check=True,
            capture_output=True,
            cwd=REPOSITORY,
            env={**own, "BENCH_DEPTH_TEST_MODELS": str(folder)},
        )

    return shared_folder(tmp_path_factory, "models", make)


# It comes first: what the whole lane shares is made within its time. The Pis run at once, and
# neither waits for what the other can make: see the order of their fixtures.
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("name", "runtimes", "order"),
    [
        ("bullseye", ["tflite_runtime"], ("models", "bullseye_bench")),
        ("trixie", ["ai_edge_litert", "onnxruntime"], ("trixie_bench", "models")),
        pytest.param(
            *("bookworm", ["ai_edge_litert", "onnxruntime"], ("bookworm_bench", "models")),
            marks=pytest.mark.nightly,
        ),
    ],
    ids=["bullseye", "trixie", "bookworm"],
)
def test_the_device_tests_pass_on_the_pi(
    name: str, runtimes: list[str], order: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    made = {fixture: request.getfixturevalue(fixture) for fixture in order}
    shares = {REPOSITORY / part: f"/repo/{part}" for part in ("tests", "device")}
    machine: Machine = dataclasses.replace(
        made[f"{name}_bench"], shares={**shares, made["models"]: "/models"}
    )
    # The project's own settings name plugins and packages that a Pi has no use for.
    settings = ["-c", "/dev/null", "--rootdir", "/repo", "--import-mode", "importlib"]
    done = machine.run(
        ["python3", "-m", "pytest", *OPTIONS, *settings, "-m", PI_TESTS, *PARTS[name], *IGNORED],
        cwd="/repo",
        env={"BENCH_DEPTH_TEST_MODELS": "/models", "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    for runtime in runtimes:
        assert re.search(rf"gives_the_depth_that_numpy_gives\[{runtime}\] PASSED", done.stdout)
    if name == "trixie":  # It has less to run, and makes what the tests behind these need.
        request.getfixturevalue("exported")
