"""The wheels, installed into an empty environment, are whole without the clone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import shared_folder

ROOT = Path(__file__).resolve().parents[3]
Run = Callable[..., str]
QUICK = ["--warmup", "0", "--min-runs", "1", "--min-time", "0"]


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheels, as `make wheels` builds them."""

    def make(folder: Path) -> None:
        for source in (ROOT / "device", ROOT):
            command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
            subprocess.run(command, check=True, cwd=source, capture_output=True)

    return shared_folder(tmp_path_factory, "wheels", make)


@pytest.fixture(scope="module")
def environment(wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The scripts of an environment with both wheels, and this one's packages for the rest."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    scripts = folder / "bin"
    pip = [sys.executable, "-m", "pip", f"--python={scripts / 'python'}", "install", "--quiet"]
    options = ["--no-deps", "--no-index", "--no-compile"]
    subprocess.run([*pip, *options, *map(str, wheels.glob("*.whl"))], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    # The .pth files in a folder that a .pth file names are not read: no package of the clone.
    (site / "others.pth").write_text(sysconfig.get_path("purelib"))
    return scripts


@pytest.fixture
def run(environment: Path, tmp_path: Path) -> Run:
    def command(program: str, *words: object) -> str:
        own = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        done = subprocess.run(
            [environment / program, *map(str, words)],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=own,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return command


def test_the_wheel_of_the_pi_is_small_and_whole(wheels: Path) -> None:
    (wheel,) = wheels.glob("bench_depth-*.whl")
    assert wheel.stat().st_size <= 3_000_000
    sources = ROOT / "device/bench_depth"
    wanted = {
        f"bench_depth/{path.relative_to(sources)}"
        for path in sources.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    with zipfile.ZipFile(wheel) as archive:
        found = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert found == wanted


def test_bench_depth_runs_outside_the_clone(run: Run, tmp_path: Path) -> None:
    table = run("bench-depth", "models")
    (model,) = re.findall(r"^ghostdepth-nano .* (/\S+)$", table, re.M)
    assert not Path(model).is_relative_to(ROOT)
    (samples,) = re.findall(r"Photos to try: (\S+)$", table, re.M)
    photo = Path(samples) / "rgb" / "living_01.jpg"
    assert "nearest" in run("bench-depth", "depth", photo, "--out", "depth")
    assert (tmp_path / "depth/living_01-depth.png").is_file()
    assert "ghostdepth-nano-int8.tflite" in run(
        "bench-depth", *QUICK, "ghostdepth-nano", "--model", "ghostdepth-s", "--data", samples
    )
    live = ["--source", Path(samples) / "rgb", "--no-server", "--frames", 1, "--record", "live"]
    run("bench-depth", "live", "--model", "ghostdepth-nano", *live)
    assert len(list((tmp_path / "live/depth").iterdir())) == 1


def test_ghostdepth_finds_its_samples_and_models_outside_the_clone(run: Run) -> None:
    code = (
        "from ghostdepth_export.host.checkout import SAMPLES;"
        "from bench_depth.core.dataset import list_pairs;"
        "print(SAMPLES, len(list_pairs(SAMPLES)))"
    )
    samples, number = run("python", "-c", code).split()
    assert not Path(samples).is_relative_to(ROOT)
    assert int(number) == len(list((ROOT / "samples/rgb").iterdir()))
    assert "ghostdepth-s" in run("ghostdepth", "models")
