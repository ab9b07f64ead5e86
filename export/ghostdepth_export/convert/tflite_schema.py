"""The generated classes of .tflite files, which TensorFlow's package has, without TensorFlow.

They need flatbuffers and numpy only; importing TensorFlow takes ten seconds of processor time.
"""

from __future__ import annotations

from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

_FILE = "lite/python/schema_py_generated.py"


def _load() -> Any:
    package = find_spec("tensorflow")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
    spec = spec_from_file_location(f"{__name__}.generated", Path(package.origin).parent / _FILE)
    assert spec is not None and spec.loader is not None, _FILE
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


schema = _load()
