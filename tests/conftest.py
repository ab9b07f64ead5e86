"""Fixtures that several test folders share."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
# As `make test` has it, before torch is imported: sums of other numbers of threads are rounded
# otherwise, and the tests run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# tflrt is PyPI's mirror of tflite-runtime 2.5.0.post1 (import name tflite_runtime); its wheels end
# at Python 3.9, and it was built against numpy 1. OpenCV asks for numpy 2 from 4.12 on.
TFLITE25_PACKAGES = ("tflrt==2.5.0.post1", "numpy<2", "opencv-python-headless<4.12")

# TensorFlow's own imports and its converter, where these folders' tests make model files.
THIRD_PARTY = [
    "ignore::DeprecationWarning",
    "ignore:.*tf.lite.Interpreter is deprecated:UserWarning",
]
CONVERTING = [REPOSITORY / "tests" / name for name in ("arm64", "device")]
# The files that take longest come first, so that both processes end at about the same time; the
# first one makes the exported files, which the second has no use for.
LONGEST = (
    *("convert/test_export.py", "convert/test_attention_files.py", "convert/test_quantized.py"),
    *("convert/test_files.py", "ship/test_bundle_killed.py", "convert/test_verify_limits.py"),
    *("compress/test_compress_adder.py", "distillation/test_distil.py", "train/test_trainer.py"),
    *("compress/test_compress.py", "commands/test_sensitivity.py", "commands/test_label.py"),
    *("convert/test_stream_files.py", "compress/test_lottery.py", "pi4/test_file_latency.py"),
    "ship/test_bundle_install.py",
)


def _order(item: pytest.Item) -> int:
    path = item.path.as_posix()
    return next((i for i, name in enumerate(LONGEST) if path.endswith(name)), len(LONGEST))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_order)
    for item in items:
        if any(folder in item.path.parents for folder in CONVERTING):
            for entry in THIRD_PARTY:
                item.add_marker(pytest.mark.filterwarnings(entry))


def benchmark(name: str, folder: str = "") -> ModuleType:
    """A module of a folder of benchmarks/, such as `papers.stream`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(REPOSITORY / "benchmarks" / folder))
        return importlib.import_module(name)


@contextlib.contextmanager
def one_at_a_time(lock: Path) -> Iterator[None]:
    """Lets one process of this machine at a time into the block."""
    with lock.open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def shared_folder(
    factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]
) -> Path:
    """A folder that `make` fills once in a run of pytest, for all its worker processes."""
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    folder = base / name
    with one_at_a_time(base / f"{name}.lock"):
        if not folder.exists():
            partial = Path(tempfile.mkdtemp(dir=base))
            make(partial)
            partial.chmod(0o755)
            partial.rename(folder)
    return folder


@pytest.fixture(scope="session")
def tflite25_python() -> Path:
    """A Python 3.9 that has the real TFLite 2.5, numpy, OpenCV and `bench_depth`.

    It is built once under `.cache/` and kept. Skips where Python 3.9 or the index is missing.
    """
    base = _python39()
    if base is None:
        pytest.skip("no Python 3.9 here: the real TFLite 2.5 has no wheel for a newer one")
    key = hashlib.sha256(f"{base}{TFLITE25_PACKAGES}{REPOSITORY}".encode()).hexdigest()[:12]
    folder = REPOSITORY / ".cache" / f"tflite25-{key}"
    folder.parent.mkdir(exist_ok=True)
    with one_at_a_time(folder.parent / f"{folder.name}.lock"):
        if not (folder / "ready").exists():
            _build(base, folder)
    return folder / "bin" / "python"


def _python39() -> Path | None:
    found = shutil.which("python3.9")
    candidates = [Path(found)] if found else []
    # pyenv's shim is there even when its version is not selected; its interpreters stand beside it.
    candidates += sorted((Path.home() / ".pyenv" / "versions").glob("3.9.*/bin/python3.9"))
    for python in candidates:
        tried = subprocess.run([python, "-c", "import venv"], check=False, capture_output=True)
        if tried.returncode == 0:
            return python
    return None


def _build(base: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([base, "-m", "venv", folder], check=True, capture_output=True)
    python = folder / "bin" / "python"
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    command = [*install, *TFLITE25_PACKAGES]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        shutil.rmtree(folder)
        pytest.skip(f"cannot install {TFLITE25_PACKAGES[0]}: {done.stderr.strip()[-300:]}")
    (site,) = (folder / "lib").glob("python3.9/site-packages")
    (site / "bench_depth_source.pth").write_text(f"{REPOSITORY / 'device'}\n")
    (folder / "ready").touch()
