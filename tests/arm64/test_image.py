"""The image of Dockerfile.arm64, built without Docker and run on the emulated Pi."""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from bench_depth import __version__
from bench_depth.core.errors import UserError
from bench_depth.results import records as results
from ghostdepth_export.host.cache import cache_folder
from ghostdepth_export.pi4.emulator import Machine, pi4
from ghostdepth_export.ship.image import build_image

from .conftest import missing, need

QUICK = ("--warmup", "0", "--min-runs", "2", "--min-time", "0")
MOST_BYTES = 300e6
HANDLERS = Path("/proc/sys/fs/binfmt_misc")


@dataclass(frozen=True)
class Image:
    """What is in an archive: all files, unpacked, and the configuration."""

    root: Path
    config: dict[str, Any]
    names: frozenset[str]
    bytes: int


def unpack(archive: Path, folder: Path) -> Image:
    names: set[str] = set()
    size = 0
    with tarfile.open(archive) as outer:

        def read(name: str) -> Any:
            member = outer.extractfile(name)
            assert member is not None
            return member

        (manifest,) = json.load(read("manifest.json"))
        config = json.load(read(manifest["Config"]))
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=read(layer)) as inner:
                members = inner.getmembers()
                assert not [m.name for m in members if Path(m.name).name.startswith(".wh.")]
                names |= {member.name.removeprefix("./") for member in members}
                size += sum(member.size for member in members)
                inner.extractall(folder, filter="fully_trusted")
    return Image(folder, config, frozenset(names), size)


@pytest.fixture(scope="session")
def can_build(bullseye_root: Path) -> None:
    need("buildah", "buildah")
    if os.geteuid() != 0:
        missing("an image is built by root")


@pytest.fixture(scope="session")
def image(can_build: None, tmp_path_factory: pytest.TempPathFactory) -> Image:
    folder = tmp_path_factory.mktemp("image")
    build_image(folder / "image.tar")
    image = unpack(folder / "image.tar", folder / "root")
    # What an emulated Pi shows to programs, see Machine.
    pi4.write(image.root)
    return image


def test_it_measures_the_released_model_with_the_real_tensorflow_lite_2_5(
    image: Image, tmp_path: Path
) -> None:
    config = image.config["config"]
    command = [*config["Entrypoint"], *config["Cmd"], *QUICK, "--json", "/out/results.json"]
    machine = Machine(image.root, shares={tmp_path: "/out"})
    env = dict(entry.split("=", 1) for entry in config["Env"])
    done = machine.run(command, env=env, cwd=config["WorkingDir"])
    measured = results.load(tmp_path / "results.json")
    (record,) = measured.models
    assert (record.runtime.name, record.runtime.version) == ("tflite_runtime", "2.5.0.post1")
    assert record.file == "ghostdepth-nano-int8.tflite"
    assert measured.context.program == f"bench-depth {__version__}"
    assert measured.context.python.startswith("3.9.")
    assert record.file in done.stdout


def test_its_configuration(image: Image) -> None:
    assert (image.config["os"], image.config["architecture"]) == ("linux", "arm64")
    config = image.config["config"]
    assert config["Entrypoint"] == ["bench-depth"]
    assert config["User"] == "1000:1000"
    assert config["Labels"]["org.opencontainers.image.version"] == __version__
    assert config["Labels"]["org.opencontainers.image.licenses"] == "Apache-2.0"


def test_every_user_may_read_it(image: Image) -> None:
    for top in ("opt/bench-depth",):
        paths = [image.root / top, *(image.root / top).rglob("*")]
        assert len(paths) > 1
        for path in paths:
            needed = 0o5 if path.is_dir() else 0o4
            assert path.is_symlink() or path.stat().st_mode & needed == needed, path


def test_nothing_of_this_machines_pip_and_of_the_build_is_in_it(image: Image) -> None:
    assert not image.names & {"etc/pip.conf", "etc/ssl/certs/ca-certificates.crt"}
    assert not [name for name in image.names if name.startswith(("opt/build", "src", "wheels"))]
    assert not [name for name in image.names if "hatchling" in name]
    assert not list((image.root / "root").rglob("*pip*"))
    for path in (image.root / "etc").rglob("*"):
        if path.is_file() and not path.is_symlink():
            assert b"CERTIFICATE-----" not in path.read_bytes(), path


def test_it_is_small(image: Image, record_property: Callable[[str, object], None]) -> None:
    record_property("image_bytes", image.bytes)
    print(f"{image.bytes / 1e6:.0f} MB")
    assert image.bytes < MOST_BYTES


def test_a_failed_step_is_told_and_leaves_nothing(can_build: None, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile.arm64").write_text(
        "ARG BASE\nFROM ${BASE}\nRUN uname -m && echo 'ERROR: no such wheel' >&2 && false\n"
    )
    handlers, cached = sorted(HANDLERS.iterdir()), set(cache_folder().iterdir())
    with pytest.raises(UserError, match="cannot build the image: ERROR: no such wheel"):
        build_image(tmp_path / "image.tar", source=tmp_path)
    assert not (tmp_path / "image.tar").exists()
    assert sorted(HANDLERS.iterdir()) == handlers
    assert not [path for path in set(cache_folder().iterdir()) - cached if "image-" in path.name]
