"""A model file in a process of its own."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from bench_depth.core.errors import MODEL_FAILED, UserError
from bench_depth.model.released import find_model
from ghostdepth_train import model_process
from ghostdepth_train.model_process import ModelProcess

MODEL = find_model("ghostdepth-nano")


@pytest.fixture
def model() -> ModelProcess:
    return ModelProcess(MODEL, 1)


def photo(height: int = 48, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_photos_of_any_size_come_back_as_depth(model: ModelProcess) -> None:
    assert (model.relative, model.quantity, model.warnings) == (False, "depth", {})
    for size in ((48, 64), (1, 1), (480, 640), (7, 5)):
        depth = model.predict(photo(*size))
        assert depth.shape == size and depth.dtype == np.float32
        assert np.isfinite(depth).all() and (depth > 0).all()


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\0" * 64])
def test_what_is_no_model_is_one_line(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bad.tflite"
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"bad\.tflite .*damaged") as error:
        ModelProcess(path, 1)
    assert error.value.exit_code == MODEL_FAILED


@pytest.mark.parametrize(
    ("number", "what"),
    [(signal.SIGSEGV, "segmentation fault"), (signal.SIGKILL, "memory"), (signal.SIGTERM, "ended")],
)
def test_a_crash_is_one_line(model: ModelProcess, number: int, what: str) -> None:
    os.kill(model._process.pid, number)
    with pytest.raises(UserError, match=rf"{what}.* while it worked on .*nano.*\.tflite"):
        model.predict(photo())


def test_a_run_that_never_ends_is_killed(
    model: ModelProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_process, "HANG", 0.2)
    os.kill(model._process.pid, signal.SIGSTOP)
    with pytest.raises(UserError, match="hung while it worked on"):
        model.predict(photo())
    assert model._process.wait(60) == -signal.SIGKILL


def test_the_process_ends_with_its_object() -> None:
    model = ModelProcess(MODEL, 1)
    process = model._process
    del model
    assert process.returncode == -signal.SIGKILL
