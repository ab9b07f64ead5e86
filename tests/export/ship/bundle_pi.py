"""A home folder of this machine in the place of a Pi's, with a stand-in for bench-depth."""

from __future__ import annotations

import functools
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import ghostdepth_export.ship.bundle
import pip
from ghostdepth_export.host.wheels import WheelTarget
from ghostdepth_export.ship.bundle.manifest import seal
from ghostdepth_export.ship.bundle.targets import Target

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
HERE = Target(
    WheelTarget(PYTHON, 31),
    (),
    {".tflite": "bench-depth", ".onnx": "bench-depth"},
    machine=platform.machine(),
)
# Fails for a model that says so; leaves a list of the models it was asked to measure. It takes a
# second where a file says so, and its results are those of the wheel.
STAND_IN = """
import os, pathlib, sys, time
def main():
    if "--version" in sys.argv:
        print("bench-depth {version}")
        return 0
    home = pathlib.Path(os.environ["HOME"])
    if (home / ".fake/pause").exists():
        time.sleep(1)
    models = [pathlib.Path(path) for flag, path in zip(sys.argv, sys.argv[1:]) if flag == "--model"]
    (home / "measured").write_text(" ".join(m.name for m in models))
    for model in models:
        if model.read_bytes() == b"broken":
            print(f"bench-depth: {{model.name}} is broken", file=sys.stderr)
            return 3
    if "--json" in sys.argv:
        results = pathlib.Path(__file__).with_name("results.json").read_text()
        out = pathlib.Path(sys.argv[sys.argv.index("--json") + 1])
        out.write_text(results.replace("MODEL", models[0].name))
    return 0
"""


@functools.cache
def pip_wheel() -> bytes:
    """This environment's pip, as the wheel that it came from."""
    source = Path(pip.__file__).parent
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for file in sorted(source.rglob("*")):
            if "__pycache__" not in file.parts:
                archive.write(file, file.relative_to(source.parent))
    return data.getvalue()


def add_numpy(bundle: Path, version: str) -> None:
    """Puts a numpy into a bundle: a wheel that says which it is."""
    info, record = f"numpy-{version}.dist-info", f"numpy-{version}.dist-info/RECORD"
    files = {
        "numpy.py": f"__version__ = '{version}'\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: numpy\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[record] = "".join(f"{path},,\n" for path in [*files, record])
    with zipfile.ZipFile(bundle / f"wheels/numpy-{version}-py3-none-any.whl", "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    seal(bundle, "test", HERE)


def make_wheel(folder: Path, version: str, padding: int = 0, results: str = "") -> Path:
    info = f"bench_depth-{version}.dist-info"
    files = {
        "bench_depth/__init__.py": "",
        "bench_depth/commands/cli.py": STAND_IN.format(version=version),
        "bench_depth/commands/results.json": results,
        "bench_depth/zeros.bin": "0" * padding,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: bench-depth\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": "[console_scripts]\n"
        "bench-depth = bench_depth.commands.cli:main\n",
    }
    record = f"{info}/RECORD"
    files[record] = "".join(f"{path},,\n" for path in [*files, record])
    path = folder / f"bench_depth-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, text in files.items():
            # With a time of its own every wheel would be another one.
            archive.writestr(zipfile.ZipInfo(name), text)
    return path


def make_folder(folder: Path) -> Path:
    """A bundle without models and bench-depth, not sealed; gives its folder of wheels."""
    for part in ("wheels", "models"):
        (folder / part).mkdir(parents=True)
    name_of_pip = f"pip-{pip.__version__}-py3-none-any.whl"
    (folder / "wheels" / name_of_pip).write_bytes(pip_wheel())
    source = Path(ghostdepth_export.ship.bundle.__file__).with_name("install.sh")
    shutil.copyfile(source, folder / "install")
    return folder / "wheels"


class Pi:
    """A home folder, bundles in it, and the installer run on it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.prefix = home / "ghostdepth"
        self.fakes = home / "fakes"
        self.fakes.mkdir(parents=True)

    def bundle(
        self,
        name: str,
        models: dict[str, str] | None = None,
        *,
        version: str = "1.0",
        padding: int = 0,
        target: Target = HERE,
        where: Path | None = None,
    ) -> Path:
        wheels = make_folder((where or self.home) / name)
        make_wheel(wheels, version, padding)
        for model, text in (models or {f"{name}.tflite": "good"}).items():
            (wheels.parent / "models" / model).write_text(text)
        seal(wheels.parent, "test", target)
        return wheels.parent

    def argv(self, bundle: Path, *arguments: str, shell: str = "sh") -> list[str]:
        return [shell, str(bundle / "install"), *arguments]

    def environment(self, **more: str) -> dict[str, str]:
        path = f"{self.fakes}:{os.environ['PATH']}"
        return {"HOME": str(self.home), "PATH": path, "PYTHONPATH": "/nowhere", **more}

    def install(
        self, bundle: Path, *arguments: str, shell: str = "sh", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.argv(bundle, *arguments, shell=shell),
            check=False,
            capture_output=True,
            text=True,
            env=self.environment(**environment),
        )

    def with_picamera2(self, numpy: str) -> None:
        """Gives the system's Python a picamera2 and a numpy, in place of apt."""
        place = self.home / "system"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
        packages = place / f"lib/python{PYTHON}/site-packages"
        (packages / "picamera2.py").touch()
        info = packages / f"numpy-{numpy}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: numpy\nVersion: {numpy}\n")
        self.fake(f"python{PYTHON}", f'exec "{place}/bin/python" "$@"')

    def fake(self, program: str, script: str) -> None:
        path = self.fakes / program
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def current(self) -> str:
        """The models of the version that runs, once it has been seen to run."""
        command = self.prefix / "current" / "bench-depth"
        subprocess.run([command, "--version"], check=True, capture_output=True)
        return " ".join(sorted(path.name for path in (self.prefix / "current/models").iterdir()))

    def ids(self) -> set[str]:
        return {path.name for path in (self.prefix / "versions").iterdir()}

    def envs(self) -> set[str]:
        return {path.name for path in (self.prefix / "envs").iterdir()}


def bundle_id(bundle: Path) -> str:
    return str(json.loads((bundle / "manifest.json").read_text())["id"])


def refusal(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The only line of an installer that refused with this code."""
    (line,) = done.stderr.splitlines()
    assert done.returncode == code, line
    assert line.startswith("install: ")
    return line
