"""Building a bundle. No wheels are fetched here; see test_bundle_wheels.py."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bench_depth
import onnx
import pytest
from bench_depth import __version__
from bench_depth.core.errors import THRESHOLD_FAILED, UserError
from ghostdepth_export.convert.flatbuffer import builtin_name, pack, unpack
from ghostdepth_export.ship.bundle import build, build_bundle

from tests.export.conftest import Command
from tests.export.ship.bundle_pi import make_wheel

TARGET = "rpi4-bullseye"
RUNTIMES = ("tflrt", "onnxruntime", "ai_edge_litert")


@pytest.fixture(autouse=True)
def wheelhouse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In place of the index: one stand-in, called as the runtime; gives the lines asked for."""
    asked: list[str] = []

    def fetch(lines: list[str], system: object, target: str) -> list[Path]:
        asked.extend(lines)
        folder = tmp_path / "wheelhouse"
        folder.mkdir(exist_ok=True)
        data = make_wheel(folder, "2.5.0").read_bytes()
        wheels = [folder / f"{n}-2.5.0-py3-none-any.whl" for n in RUNTIMES]
        for wheel in wheels:
            wheel.write_bytes(data)
        return wheels

    monkeypatch.setattr(build, "fetch", fetch)
    return asked


@pytest.fixture
def model(exported: Path) -> Path:
    return exported / "toy-int8.tflite"


def contents(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything that could differ: each path's mode, time and bytes."""
    found = {}
    for path in [folder, *folder.rglob("*")]:
        status = path.stat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (status.st_mode, int(status.st_mtime), data)
    return found


def test_a_bundle_has_all_its_parts(
    model: Path, exported: Path, dataset: Path, tmp_path: Path, wheelhouse: list[str]
) -> None:
    out = tmp_path / "bundle"
    found = build_bundle(TARGET, [model, exported / "toy-int8.onnx"], out, samples=dataset)
    assert {path.name for path in out.iterdir()} == {
        "SHA256SUMS",
        "install",
        "manifest.json",
        "models",
        "samples",
        "wheels",
    }
    manifest = json.loads((out / "manifest.json").read_text())
    files = manifest.pop("files")
    assert manifest == {
        "id": found,
        "schema": "ghostdepth-bundle/1",
        "target": TARGET,
        "machine": "aarch64",
        "python": "3.9",
        "bench_depth": __version__,
        "runtime": {"onnxruntime": "2.5.0", "tflrt": "2.5.0"},
        "env_bytes": manifest["env_bytes"],
        "version_bytes": manifest["version_bytes"],
    }
    on_disk = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert files.keys() == on_disk - {"manifest.json", "SHA256SUMS"}
    for name, entry in files.items():
        data = (out / name).read_bytes()
        assert entry == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    assert f"wheels/bench_depth-{__version__}-py3-none-any.whl" in files
    assert len([name for name in files if name.startswith("samples/rgb/")]) == 6
    checked = subprocess.run(
        ["sha256sum", "-c", "SHA256SUMS"], check=True, capture_output=True, text=True, cwd=out
    )
    assert len(checked.stdout.splitlines()) == len(files) + 1
    assert (out / "install").stat().st_mode & 0o777 == 0o755
    assert {line.partition("==")[0] for line in wheelhouse} >= {"tflrt", "onnxruntime", "pip"}


def test_only_the_runtimes_that_the_models_need_go_along(
    exported: Path, tmp_path: Path, wheelhouse: list[str]
) -> None:
    build_bundle(TARGET, [exported / "toy-fp32.onnx"], tmp_path / "b", samples=None)
    assert not [line for line in wheelhouse if line.startswith("tflrt")]
    assert not (tmp_path / "b" / "samples").exists()


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_the_same_inputs_give_the_same_bundle(
    model: Path, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: Any
) -> None:
    build_bundle(TARGET, [model], tmp_path / "a", samples=dataset)
    # Another checkout: other modes, times and places of the sources, and another umask.
    request.getfixturevalue("umask")
    checkout = tmp_path / "elsewhere" / "ghostdepth"
    source, package = Path(bench_depth.__file__).parent, checkout / "device" / "bench_depth"
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__"))
    copies = [shutil.copy(model, tmp_path / model.name)]
    samples = shutil.copytree(dataset, tmp_path / "samples")
    for path in [*checkout.rglob("*.py"), *samples.rglob("*.png"), *map(Path, copies)]:
        path.chmod(0o600)
        os.utime(path, (1e9, 1e9))
    monkeypatch.setattr(bench_depth, "__file__", str(package / "__init__.py"))
    build_bundle(TARGET, [Path(copies[0])], tmp_path / "b", samples=samples)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")


def test_any_change_gives_another_id(model: Path, dataset: Path, tmp_path: Path) -> None:
    copy = shutil.copy(model, tmp_path / "renamed.tflite")
    ids = {
        build_bundle(TARGET, [model], tmp_path / "b", samples=None),
        build_bundle(TARGET, [model], tmp_path / "b", samples=dataset),
        build_bundle(TARGET, [copy], tmp_path / "b", samples=None),
        build_bundle("rpi4-bookworm", [model], tmp_path / "b", samples=None),
    }
    assert len(ids) == 4


def test_a_bundle_is_replaced_whole(model: Path, exported: Path, tmp_path: Path) -> None:
    out = tmp_path / "b"
    build_bundle(TARGET, [model], out, samples=None)
    build_bundle(TARGET, [exported / "toy-fp16.tflite"], out, samples=None)
    assert [path.name for path in (out / "models").iterdir()] == ["toy-fp16.tflite"]
    assert {path.name for path in tmp_path.iterdir()} == {"b", "wheelhouse"}


def test_a_folder_that_is_no_bundle_is_left_alone(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter1.txt").write_text("years of work")
    with pytest.raises(UserError, match=r"is no bundle: it holds chapter1\.txt"):
        build_bundle(TARGET, [model], out, samples=None)
    (out / "chapter1.txt").rename(out / "models")
    with pytest.raises(UserError, match=r"manifest\.json is missing"):
        build_bundle(TARGET, [model], out, samples=None)
    with pytest.raises(UserError, match="is a file"):
        build_bundle(TARGET, [model], out / "models", samples=None)
    assert (out / "models").read_text() == "years of work"


def test_a_full_disk_leaves_the_bundle_that_was_there(
    model: Path, exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "b"
    build_bundle(TARGET, [model], out, samples=None)
    before = contents(out)

    def full(source: Path, target: Path) -> None:
        target.touch()
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(UserError, match=r"cannot write .*No space left.*; check free space"):
        build_bundle(TARGET, [exported / "toy-fp16.tflite"], out, samples=None)
    assert contents(out) == before
    assert {path.name for path in tmp_path.iterdir()} == {"b", "wheelhouse"}


def test_what_a_killed_run_left_is_removed_and_nothing_else(model: Path, tmp_path: Path) -> None:
    left = tmp_path / ".b.bundle-0a1b2c3d"
    (left / "bundle" / "wheels").mkdir(parents=True)
    others = {".b-of-mine", ".c.bundle-0a1b2c3d"}
    for name in others:
        (tmp_path / name).mkdir()
    build_bundle(TARGET, [model], tmp_path / "b", samples=None)
    assert {path.name for path in tmp_path.iterdir()} == {"b", "wheelhouse", *others}


def truncated(exported: Path, name: str, folder: Path) -> Path:
    path = folder / name
    path.write_bytes((exported / f"toy-int8{path.suffix}").read_bytes()[:-1000])
    return path


@pytest.mark.parametrize("suffix", [".tflite", ".onnx"])
def test_a_bad_model_is_refused(exported: Path, suffix: str, tmp_path: Path) -> None:
    def refused(path: Path, match: str) -> None:
        with pytest.raises(UserError, match=match):
            build_bundle(TARGET, [path], tmp_path / "b", samples=None)
        assert not (tmp_path / "b").exists()

    refused(tmp_path / f"none{suffix}", "cannot read .*none")
    refused(truncated(exported, f"cut{suffix}", tmp_path), "cut.* is damaged or truncated")
    (tmp_path / f"text{suffix}").write_text("hello, this is no model at all")
    refused(tmp_path / f"text{suffix}", "text.* is damaged or truncated")
    shutil.copy(exported / f"toy-int8{suffix}", tmp_path / f".hidden{suffix}")
    refused(tmp_path / f".hidden{suffix}", "cannot be a file of a bundle")
    shutil.copy(exported / f"toy-int8{suffix}", tmp_path / f"two\nlines{suffix}")
    refused(tmp_path / f"two\nlines{suffix}", "cannot be a file of a bundle")


def test_two_models_of_one_name_are_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"two models are called toy-int8\.tflite"):
        build_bundle(TARGET, [model, model], tmp_path / "b", samples=None)


def test_a_file_of_another_kind_is_refused(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"verify\.json is no model"):
        build_bundle(TARGET, [exported / "verify.json"], tmp_path / "b", samples=None)


def test_an_op_that_tflite_2_5_lacks_is_refused_by_name(exported: Path, tmp_path: Path) -> None:
    graph = unpack((exported / "toy-fp32.tflite").read_bytes())
    for code in graph.operatorCodes:
        if builtin_name(code) == "CONV_2D":
            code.version = 6
    path = tmp_path / "new.tflite"
    path.write_bytes(pack(graph))
    match = r"new\.tflite cannot run on rpi4-bullseye: CONV_2D version 6 came with TFLite 2\.9"
    with pytest.raises(UserError, match=match) as caught:
        build_bundle(TARGET, [path], tmp_path / "b", samples=None)
    assert caught.value.exit_code == THRESHOLD_FAILED
    build_bundle("rpi4-trixie", [path], tmp_path / "b", samples=None)


def test_an_onnx_format_too_new_for_the_target_is_refused(exported: Path, tmp_path: Path) -> None:
    graph = onnx.load(exported / "toy-fp32.onnx")
    graph.ir_version = 11
    path = tmp_path / "new.onnx"
    onnx.save(graph, path)
    with pytest.raises(UserError, match=r"new\.onnx cannot run on rpi4-bullseye: .*format 11"):
        build_bundle(TARGET, [path], tmp_path / "b", samples=None)
    build_bundle("rpi4-trixie", [path], tmp_path / "b", samples=None)


def test_an_onnx_model_in_two_files_is_refused(exported: Path, tmp_path: Path) -> None:
    graph = onnx.load(exported / "toy-fp32.onnx")
    path = tmp_path / "two.onnx"
    onnx.save(graph, path, save_as_external_data=True, location="weights", size_threshold=1024)
    with pytest.raises(UserError, match="weights are in a file of their own"):
        build_bundle("rpi4-trixie", [path], tmp_path / "b", samples=None)


def test_the_command_takes_several_models_and_prints_the_folder(
    model: Path, exported: Path, tmp_path: Path, command: Command
) -> None:
    words = ["bundle", "--target", TARGET, "--no-samples", "--out", tmp_path / "b"]
    words += ["--models", model, exported / "toy-fp32.onnx"]
    output = command(*words, "--models", exported / "toy-fp16.tflite")
    assert output.out == f"{tmp_path}/b\n"
    assert "sh b/install" in output.err
    assert len(list((tmp_path / "b" / "models").iterdir())) == 3
