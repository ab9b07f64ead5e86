"""Updates the wheels of the emulated Pis: `python -m ghostdepth_export.pi4.emulator.lock`.

The requirements are in this file, the resolved versions in `wheels/*.txt`.
"""

from __future__ import annotations

from bench_depth.core.files import write_bytes
from ghostdepth_export.host.wheels import resolve
from ghostdepth_export.pi4.emulator.roots import RECIPES

_TESTS = ("pytest", "pytest-timeout")
_WANTED: dict[str, dict[str, tuple[str, ...]]] = {
    "bullseye": {
        "bullseye": (
            "tflrt==2.5.0.post1",
            "numpy<2",
            "opencv-python-headless<4.12",
            "jinja2",
            *_TESTS,
            "exceptiongroup",
            "tomli",
        ),
        "litert21": ("ai-edge-litert==2.1.0", "numpy<2"),
    },
    "bookworm": {
        "bookworm": (
            "ai-edge-litert",
            "onnxruntime",
            "numpy<2",
            "opencv-python-headless<4.12",
            "jinja2",
            *_TESTS,
        ),
    },
    "trixie": {
        "trixie": (
            "ai-edge-litert",
            "onnxruntime",
            "numpy",
            "opencv-python-headless",
            "jinja2",
            *_TESTS,
        ),
    },
}


def main() -> None:
    """Resolves and writes every list."""
    for name, lists in _WANTED.items():
        recipe = RECIPES[name]
        for lock, wanted in lists.items():
            write_bytes(recipe.lock(lock), resolve(wanted, recipe.target).encode())


if __name__ == "__main__":
    main()
