"""The wheel, alone, with the real TensorFlow Lite 2.5 on Python 3.9."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench_depth.results import records as results

DEVICE = Path(__file__).resolve().parents[3] / "device"


@pytest.fixture(scope="session")
def installed(tflite25_python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds nothing but the installed wheel."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*build, "--wheel-dir", folder, DEVICE], check=True)
    (wheel,) = folder.glob("bench_depth-*-py3-none-any.whl")
    install = [tflite25_python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, "--target", folder / "site", wheel], check=True)
    return folder / "site"


def run(python: Path, installed: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    # What stands in PYTHONPATH is found before the environment's own packages.
    return subprocess.run(
        [python, *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        cwd=installed.parent,
        env={**os.environ, "PYTHONPATH": str(installed)},
    )


@pytest.mark.slow
def test_the_wheel_holds_the_package_its_sample_and_its_command(installed: Path) -> None:
    assert (installed / "bench_depth" / "timing" / "sample.jpg").is_file()
    assert (installed / "bench_depth" / "model" / "runtimes" / "tflite.py").is_file()
    assert (installed / "bin" / "bench-depth").is_file()
    assert {path.name.split("-")[0] for path in installed.iterdir()} == {"bench_depth", "bin"}


@pytest.mark.slow
def test_the_installed_command_measures_a_model_in_tflite_25(
    tflite25_python: Path, installed: Path, tiny_tflite: Path, dataset: Path, tmp_path: Path
) -> None:
    where = run(tflite25_python, installed, "-c", "import bench_depth; print(bench_depth.__file__)")
    assert Path(where.stdout.strip()).is_relative_to(installed)
    target = tmp_path / "results.json"
    command = installed / "bin" / "bench-depth"
    options = ["--data", dataset, "--min-time", "0", "--json", target]
    done = run(tflite25_python, installed, command, "--model", tiny_tflite, *options)
    assert done.returncode == 0, done.stderr
    (record,) = results.load(target).models
    assert record.runtime.name == "tflite_runtime"
    assert record.runtime.version.startswith("2.5.0")
    assert record.runtime.xnnpack is False
    assert record.accuracy is not None
    # The dataset's depth is within 15 % of what the model says.
    assert record.accuracy.mean.delta_1 == 1


@pytest.mark.slow
def test_a_truncated_file_does_not_crash_tflite_25(
    tflite25_python: Path, installed: Path, tiny_tflite: Path, tmp_path: Path
) -> None:
    data = tiny_tflite.read_bytes()
    for part in (0.3, 0.6, 0.9):
        path = tmp_path / "cut.tflite"
        path.write_bytes(data[: int(len(data) * part)])
        done = run(tflite25_python, installed, "-m", "bench_depth", "--model", path)
        assert done.returncode == 3
        assert "damaged or truncated" in done.stderr
