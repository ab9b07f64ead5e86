"""The systems that bundles are made for."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from bench_depth.core.errors import UserError
from ghostdepth_export.host.wheels import WheelTarget


@dataclass(frozen=True)
class Target:
    """A board with a release of Raspberry Pi OS (64-bit).

    Attributes:
        system: Python and glibc of the target.
        packages: Requirements of `bench_depth` on the target.
        runtimes: The runtime for each kind of model file, by suffix, as a requirement.
        tflite: The TensorFlow Lite version of a runtime that lacks newer ops; None where the
            runtime is as new as the one that checks the models here.
        onnx: The newest file format and opset that an older ONNX Runtime reads; None likewise.
        machine: As `uname -m` says it.
    """

    system: WheelTarget
    packages: tuple[str, ...]
    runtimes: dict[str, str]
    tflite: str | None = None
    onnx: tuple[int, int] | None = None
    machine: str = "aarch64"


_NEW = {".tflite": "ai-edge-litert", ".onnx": "onnxruntime"}
# With what `--html` and `live --mqtt` need: a Pi without network cannot fetch them later.
_EXTRAS = ("jinja2", "paho-mqtt", "pip")
_PACKAGES = ("numpy", "opencv-python-headless", *_EXTRAS)
# For numpy 1, which OpenCV no longer takes from 4.12 on.
_PACKAGES_NUMPY_1 = ("numpy<2", "opencv-python-headless<4.12", *_EXTRAS)

TARGETS = {
    # The last Python that TensorFlow Lite 2.5, the reference of the measuring protocol, has wheels
    # for. It was built against numpy 1.
    "rpi4-bullseye": Target(
        WheelTarget("3.9", 31),
        _PACKAGES_NUMPY_1,
        {".tflite": "tflrt==2.5.0.post1", ".onnx": "onnxruntime"},
        tflite="2.5",
        onnx=(10, 21),  # ONNX Runtime 1.19
    ),
    # Its picamera2 was built for apt's numpy 1.
    "rpi4-bookworm": Target(WheelTarget("3.11", 36), _PACKAGES_NUMPY_1, _NEW),
    "rpi4-trixie": Target(WheelTarget("3.13", 41), _PACKAGES, _NEW),
}


def find_target(name: str) -> Target:
    """A target by its name.

    Raises:
        UserError: There is no such target.
    """
    if name not in TARGETS:
        raise UserError(f"unknown target {name!r}; choose from {', '.join(TARGETS)}")
    return TARGETS[name]


def lock_file(target: str, suffix: str) -> Path:
    """The committed list of the wheels that a target needs for one kind of model.

    Args:
        target: A key of `TARGETS`.
        suffix: Extension of the model files.
    """
    return Path(str(resources.files(__package__) / "wheel_lists" / f"{target}{suffix}.txt"))
