"""Emulated Pis, and what runs on them.

Where a program is missing these tests are skipped and say so, except in CI, where they must run.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from bench_depth.core.errors import UserError
from ghostdepth_export.pi4.emulator import Machine, bench_layer, build_root

from tests.conftest import shared_folder

REPOSITORY = Path(__file__).resolve().parents[2]
MODELS = REPOSITORY / "models"

# What one process runs, because it shares what it makes or looks at the same state of the host:
# the first folder or file that a test's path contains. Long ones come first, so that the processes
# end at about the same time.
GROUPS = {
    "test_device_suite": "device suite",
    "deploy": "deploy",
    "test_models": "models",
    "test_bundle": "bundle",
    "native": "native",
    "test_image": "host",
    "test_emulator": "host",
    "test_readme": "readme",
    "test_counter.py": "counter",
    "counter": "plugin",
    "": "other",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the groups of this folder one behind the other."""
    items.sort(key=lambda item: _group(item.nodeid) if "arm64/" in item.nodeid else (-1, ""))


# pytest-xdist's own `--dist loadgroup` sets `_nodeid`, which pytest 9.2 does not read: it
# would split the groups, and both processes would make all that their tests share.
@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Gives each group to one process."""
    from xdist.scheduler import LoadScopeScheduling

    class ByGroup(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return _group(nodeid)[1]

    return ByGroup(config, log)


def _group(nodeid: str) -> tuple[int, str]:
    """Its place in the order, and its name; the device suite has one for each Pi."""
    path, _, test = nodeid.partition("::")
    order, name = next((i, g) for i, (key, g) in enumerate(GROUPS.items()) if key in path)
    return order, f"{name} {test}" if name == "device suite" else name


def missing(reason: str) -> None:
    """Skips the test, or fails it in CI."""
    if os.environ.get("CI"):
        pytest.fail(f"{reason} (in CI this lane must run)")
    pytest.skip(reason)


def need(program: str, package: str) -> Path:
    """The path of a program; skips (fails in CI) where it is not installed."""
    found = shutil.which(program)
    if found is None:
        missing(f"{program} is not installed: apt install {package}")
    return Path(str(found))


def _root(name: str) -> Path:
    for program, package in (
        ("mmdebstrap", "mmdebstrap"),
        ("qemu-aarch64-static", "qemu-user-static"),
        ("qemu-aarch64", "qemu-user"),
    ):
        need(program, package)
    try:
        root = build_root(name)
    except UserError as error:
        missing(str(error))
        raise
    works = Machine(root).run(["true"], check=False)
    if works.returncode:
        missing(f"nothing can be emulated here: {works.stderr.strip()}")
    return root


@pytest.fixture(scope="session")
def bullseye_root() -> Path:
    """Python 3.9, TensorFlow Lite 2.5."""
    return _root("bullseye")


@pytest.fixture(scope="session")
def bookworm_root() -> Path:
    """Python 3.11, the newest LiteRT and ONNX Runtime, numpy 1."""
    return _root("bookworm")


@pytest.fixture(scope="session")
def trixie_root() -> Path:
    """Python 3.13, the newest LiteRT and ONNX Runtime."""
    return _root("trixie")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all six files of ghostdepth-s, and the int8 file of ghostdepth-nano."""
    from ghostdepth_export.convert.export import export
    from ghostdepth_export.convert.formats import FORMATS

    def make(folder: Path) -> None:
        for name, formats in (
            ("ghostdepth-s", tuple(FORMATS)),
            ("ghostdepth-nano", ("int8.tflite",)),
        ):
            checkpoint = MODELS / name
            export(checkpoint, folder, calibration=REPOSITORY / "samples", formats=formats)

    return shared_folder(tmp_path_factory, "exported", make)


@pytest.fixture(scope="session")
def bullseye_bench(bullseye_root: Path) -> Machine:
    """A Pi with bench-depth, and without the exported files, which take minutes to make."""
    return Machine(bullseye_root, layers=[bench_layer(bullseye_root)])


@pytest.fixture(scope="session")
def bookworm_bench(bookworm_root: Path) -> Machine:
    """As `bullseye_bench`."""
    return Machine(bookworm_root, layers=[bench_layer(bookworm_root)])


@pytest.fixture(scope="session")
def trixie_bench(trixie_root: Path) -> Machine:
    """As `bullseye_bench`."""
    return Machine(trixie_root, layers=[bench_layer(trixie_root)])


@pytest.fixture(scope="session")
def bullseye(bullseye_bench: Machine, exported: Path) -> Machine:
    """A Pi with bench-depth; the exported files are in /models, the samples in /samples."""
    return _with_files(bullseye_bench, exported)


@pytest.fixture(scope="session")
def trixie(trixie_bench: Machine, exported: Path) -> Machine:
    """As `bullseye`."""
    return _with_files(trixie_bench, exported)


def _with_files(machine: Machine, exported: Path) -> Machine:
    shares = {exported: "/models", REPOSITORY / "samples": "/samples"}
    return dataclasses.replace(machine, shares=shares)
