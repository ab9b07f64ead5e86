from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_depth.core.compiled import fault_of
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model import runtimes
from bench_depth.model.runtimes import choose
from bench_depth.model.runtimes.tflite import TfliteRuntime

# As LiteRT announces XNNPACK, by compiled code and once in a process.
WORKS = """\
import os
class Interpreter:
    def __init__(self, model_content): pass
    def allocate_tensors(self): os.write(2, b"INFO: Created a delegate.")
"""
# As tflite_runtime 2.14 behaves beside numpy 2: it is imported, and fails at its first model.
NUMPY = """\
import sys
class Interpreter:
    def __init__(self, model_content):
        print("A module that was compiled using NumPy 1.x cannot be run in", file=sys.stderr)
        raise SystemError("CreateWrapperFromFile returned a result with an exception set")
"""
FAULTS = {
    NUMPY: "was built for another numpy than .*; run: pip install 'numpy",
    "raise ImportError('libfoo.so.2: cannot open\\nshared object file')": "libfoo.so.2",
    "raise SystemError": "does not work here: SystemError",
    "raise AttributeError('module numpy has no attribute float_')": "no attribute float_",
    "raise ValueError('numpy.dtype size changed, may indicate')": "another numpy",
}
Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts packages `fake_0`, `fake_1`, ... there, whose modules have the given content."""
    names = [f"fake_{number}" for number in range(3)]
    fakes = [TfliteRuntime(name, f"{name}.interpreter", name) for name in names]
    monkeypatch.setattr(runtimes, "RUNTIMES", tuple(fakes))
    monkeypatch.syspath_prepend(tmp_path)
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.delitem(sys.modules, f"{name}.interpreter", raising=False)

    def put(**modules: str) -> None:
        for name, text in modules.items():
            (tmp_path / name).mkdir()
            (tmp_path / name / "__init__.py").write_text("__version__ = '2.14.0'\n")
            (tmp_path / name / "interpreter.py").write_text(text)

    yield put
    for name in names:
        sys.modules.pop(name, None)
        sys.modules.pop(f"{name}.interpreter", None)


def test_the_first_installed_runtime_is_chosen(install: Install) -> None:
    install(fake_1=WORKS, fake_2=WORKS)
    said: list[str] = []
    assert choose(Path("m.tflite"), log=said.append).name == "fake_1"
    assert said == []


@pytest.mark.parametrize("text", FAULTS)
def test_a_runtime_that_does_not_work_is_passed_over_and_named(
    install: Install, text: str, capfd: pytest.CaptureFixture[str]
) -> None:
    install(fake_0=text, fake_2=WORKS)
    said: list[str] = []
    assert choose(Path("m.tflite"), log=said.append).name == "fake_2"
    (line,) = said
    assert line.startswith("fake_0 2.14.0 ")
    assert line.endswith("; fake_2 is used in its place")
    assert "\n" not in line
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("text", FAULTS)
@pytest.mark.parametrize("name", [None, "fake_0"])
def test_where_no_other_works_the_fault_is_the_error(
    install: Install, text: str, name: str | None
) -> None:
    install(fake_0=text)
    with pytest.raises(UserError, match=FAULTS[text]) as caught:
        choose(Path("m.tflite"), name)
    assert caught.value.exit_code == MODEL_FAILED
    assert ("pip install fake_1" in str(caught.value)) == (name is None)


def test_a_runtime_that_works_has_no_fault(tiny_tflite: Path) -> None:
    runtime = choose(tiny_tflite)
    assert runtime.fault() is None
    assert fault_of(lambda: None) is None
