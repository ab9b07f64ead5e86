"""The reader of .tflite files in bench-depth-native, beside the one in Python.

It is built for this machine, with sanitizers: nothing is emulated.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bench_depth.model.contract import METADATA_NAME, ModelContract
from bench_depth.model.readers import tflite_file
from ghostdepth_export.convert.flatbuffer import pack, unpack
from ghostdepth_export.host.checkout import SOURCE

from tests.arm64.conftest import missing, need

SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=all"
MUTATIONS, TRUNCATIONS = 600, 60


@pytest.fixture(scope="session")
def check_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("cmake", "cmake")
    need("c++", "g++")
    if not Path("/usr/include/nlohmann/json.hpp").exists():
        missing("nlohmann's JSON library is not installed: apt install nlohmann-json3-dev")
    folder = tmp_path_factory.mktemp("check-files")
    for command in (
        ["cmake", "-S", SOURCE / "device/native", "-B", folder, f"-DCMAKE_CXX_FLAGS={SANITIZERS}"],
        ["cmake", "--build", folder, "--target", "check-files"],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    return folder / "check-files"


def check(program: Path, files: list[Path]) -> list[dict[str, Any]]:
    done = subprocess.run([program, *files], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def small(exported: Path) -> bytes:
    """The int8 file without its weights: nothing but what is read."""
    model = unpack((exported / "ghostdepth-s-int8.tflite").read_bytes())
    (contract,) = [entry.buffer for entry in model.metadata if entry.name == METADATA_NAME.encode()]
    for index, buffer in enumerate(model.buffers):
        if index != contract:
            buffer.data = None
    return pack(model)


def damaged(whole: bytes) -> list[bytes]:
    random = np.random.default_rng(0)
    files = [whole[: int(random.integers(len(whole)))] for _ in range(TRUNCATIONS)]
    for _ in range(MUTATIONS):
        mutated = bytearray(whole)
        for _ in range(int(random.integers(1, 4))):
            mutated[int(random.integers(len(whole)))] = int(random.choice([0, 1, 127, 128, 255]))
        files.append(bytes(mutated))
    return files


def test_damaged_files_are_refused_for_the_same_reason_as_in_python(
    check_files: Path, small: bytes, tmp_path: Path
) -> None:
    files = damaged(small)
    paths = [tmp_path / f"{index}.tflite" for index in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    refused = 0
    for data, path, found in zip(files, paths, check(check_files, paths), strict=True):
        try:
            metadata = tflite_file.read_metadata(data, METADATA_NAME)
        except ValueError as error:
            refused += 1
            assert found["error"] == str(error), path
            continue
        assert_same_contract(metadata, found)
    assert len(files) / 10 < refused < len(files) * 9 / 10


def assert_same_contract(metadata: bytes | None, found: dict[str, Any]) -> None:
    if metadata is None:
        assert found["error"] is found["contract"] is None
        return
    try:
        expected = json.loads(ModelContract.from_json(metadata.decode()).to_json())
    except ValueError:
        assert "cannot be read: " in found["error"]
        return
    assert found["error"] is None
    assert found["contract"] == {k: v for k, v in expected.items() if k != "schema"}


@pytest.mark.parametrize("bytes_", [0, 1, 55, 56, 63, 64, 65, 119, 120, 1000])
def test_the_checksum_is_sha256_at_every_block_boundary(
    bytes_: int, check_files: Path, tmp_path: Path
) -> None:
    data = np.random.default_rng(bytes_).integers(0, 256, bytes_, np.uint8).tobytes()
    (tmp_path / "data").write_bytes(data)
    (found,) = check(check_files, [tmp_path / "data"])
    assert found["sha256"] == hashlib.sha256(data).hexdigest()


def test_a_contract_nested_without_end_is_refused(
    check_files: Path, small: bytes, tmp_path: Path
) -> None:
    model = unpack(small)
    (entry,) = [entry for entry in model.metadata if entry.name == METADATA_NAME.encode()]
    nested = b"[" * 100_000
    model.buffers[entry.buffer].data = np.frombuffer(nested, np.uint8)
    (tmp_path / "nested.tflite").write_bytes(pack(model))
    (found,) = check(check_files, [tmp_path / "nested.tflite"])
    assert "it is nested too deeply" in found["error"]
