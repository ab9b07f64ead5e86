"""The export command's promises: what it writes, and what it leaves when it fails."""

from __future__ import annotations

import dataclasses
import errno
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bench_depth.core.errors import WARNED, UserError
from ghostdepth_export.convert import verify
from ghostdepth_export.convert.export import export
from ghostdepth_export.convert.formats import FORMATS
from ghostdepth_export.convert.source import ExportSource
from ghostdepth_train.checkpoint import save_checkpoint
from ghostdepth_train.config import load_train_config
from ghostdepth_train.models.network import DepthNet

Options = dict[str, Any]


@pytest.fixture
def options(dataset: Path) -> Options:
    return {
        "camera": (96, 128),
        "calibration": dataset,
        "formats": ("fp32.tflite",),
        "progress": lambda line: None,
    }


@pytest.fixture(autouse=True)
def build_once(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conversion itself is tested elsewhere; what happens around it needs no second one."""
    built = (exported / "toy-fp32.tflite").read_bytes()
    kind = dataclasses.replace(FORMATS["fp32.tflite"], build=lambda source: built)
    monkeypatch.setitem(FORMATS, "fp32.tflite", kind)


def test_all_six_files_and_the_report_are_written(exported: Path) -> None:
    names = {f"toy-{name}" for name in FORMATS}
    assert {path.name for path in exported.iterdir()} == names | {"verify.json"}


def test_adders_are_refused_and_nothing_is_written(options: Options, tmp_path: Path) -> None:
    config = load_train_config("tiny").network.model_copy(update={"adder": ("decoder.0.narrow.0",)})
    save_checkpoint(
        tmp_path / "adder", DepthNet(config), name="adder", training_data="none", metrics={}
    )
    with pytest.raises(UserError, match=r"adder has 1 adder convolutions.*no op.*adder\.md"):
        export(tmp_path / "adder", tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_the_report_holds_figures_and_limits_of_every_file(exported: Path) -> None:
    report = json.loads((exported / "verify.json").read_text())
    assert report["schema"] == "ghostdepth-verify/1"
    assert report["pictures"] == 6
    assert [row["format"] for row in report["files"]] == list(FORMATS)
    for row in report["files"]:
        assert row["passed"] is True
        assert row[row["limit"]["figure"]] <= row["limit"]["most"]
        assert row["si_rmse"] > 0
        assert row["max_abs_error"] >= 0


def test_the_paths_come_back_in_the_order_asked_for(
    checkpoint: Path, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = dataclasses.replace(FORMATS["fp32.tflite"], variant="copy")
    monkeypatch.setitem(FORMATS, "copy.tflite", other)
    options["formats"] = ("copy.tflite", "fp32.tflite")
    written = export(checkpoint, tmp_path, **options)
    assert written == [tmp_path / "toy-copy.tflite", tmp_path / "toy-fp32.tflite"]


def test_progress_names_each_file(checkpoint: Path, options: Options, tmp_path: Path) -> None:
    lines: list[str] = []
    export(checkpoint, tmp_path, **{**options, "progress": lines.append})
    assert any(line.startswith("toy-fp32.tflite: ") and "si-RMSE" in line for line in lines)


def test_a_file_that_fails_its_limit_is_not_left(
    checkpoint: Path, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = verify.open_model
    monkeypatch.setattr(
        verify, "open_model", lambda path: lambda picture: right(path)(picture) * 1.001
    )
    with pytest.raises(UserError, match=r"toy-fp32\.tflite fails its limit: mean_relative_error"):
        export(checkpoint, tmp_path, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["verify.json"]
    (row,) = json.loads((tmp_path / "verify.json").read_text())["files"]
    assert row["passed"] is False


def test_a_file_that_gives_nan_is_not_left(
    checkpoint: Path, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = verify.open_model
    monkeypatch.setattr(
        verify, "open_model", lambda path: lambda picture: right(path)(picture) * math.nan
    )
    with pytest.raises(UserError, match=r"toy-fp32\.tflite: it gives NaN") as caught:
        export(checkpoint, tmp_path, **options)
    assert caught.value.exit_code == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("bias", [0.0, 2.0])
def test_a_network_that_gives_one_depth_everywhere_is_warned_of(
    options: Options, tmp_path: Path, bias: float
) -> None:
    network = DepthNet(load_train_config("tiny").network)
    with torch.no_grad():
        network.head.weight.zero_()
        network.head.bias.fill_(bias)
    save_checkpoint(tmp_path / "c", network, name="toy", training_data="t", metrics={})
    lines: list[str] = []
    # The file that stands in for the conversion is of another network.
    with pytest.raises(UserError, match="fails its limit"):
        export(tmp_path / "c", tmp_path / "out", **options, warn=lines.append)
    (line,) = lines
    assert "same depth for every pixel" in line and line.endswith("[output-constant]")
    with pytest.raises(UserError, match="--strict: there are warnings: output-constant") as caught:
        export(tmp_path / "c", tmp_path / "out", **options, warn=lines.append, strict=True)
    assert caught.value.exit_code == WARNED


def test_a_network_that_gives_every_photo_one_depth_is_warned_of(
    checkpoint: Path, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    depth = np.linspace(1, 4, 96 * 128, dtype=np.float32).reshape(96, 128)
    monkeypatch.setattr(ExportSource, "predict", lambda self, *inputs: depth)
    with pytest.raises(UserError, match="--strict: there are warnings: output-same"):
        export(checkpoint, tmp_path / "out", **options, warn=lambda line: None, strict=True)
    assert not (tmp_path / "out").exists()


def test_a_sound_network_has_no_warnings(
    checkpoint: Path, options: Options, tmp_path: Path
) -> None:
    lines: list[str] = []
    assert export(checkpoint, tmp_path / "out", **options, warn=lines.append, strict=True)
    assert not lines


def test_a_full_disk_leaves_nothing(
    checkpoint: Path, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def write_half(path: Path, data: bytes) -> int:
        if len(data) < 10_000:  # The note about who works in the folder.
            return write(path, data)
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", write_half)
    with pytest.raises(UserError, match=r"toy-fp32\.tflite: No space left"):
        export(checkpoint, tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_one_line(
    checkpoint: Path, options: Options, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot lock .*Not a directory"):
        export(checkpoint, tmp_path / "file" / "out", **options)


def test_an_interrupted_export_leaves_nothing(
    checkpoint: Path, options: Options, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(verify, "open_model", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export(checkpoint, tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_a_runtime_that_lacks_an_op_is_refused_before_anything_is_written(
    checkpoint: Path, options: Options, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="RESIZE_BILINEAR version 3") as caught:
        export(checkpoint, tmp_path, **{**options, "runtime": "2.1"})
    assert caught.value.exit_code == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"formats": ("fp64.tflite",)}, "unknown format 'fp64.tflite'; choose from fp32.tflite"),
        ({"runtime": "two"}, "'two' is not a runtime version"),
        ({"runtime": "9"}, "--runtime 9: there is no such TensorFlow Lite"),
        ({"camera": (0, 128)}, "must be positive, got 128x0"),
    ],
)
def test_a_wrong_argument_is_named(
    checkpoint: Path, options: Options, tmp_path: Path, change: Options, message: str
) -> None:
    with pytest.raises(UserError, match=message) as caught:
        export(checkpoint, tmp_path / "out", **{**options, **change})
    assert caught.value.exit_code == 2
    assert not (tmp_path / "out").exists()


def test_an_empty_calibration_folder_is_named(
    checkpoint: Path, options: Options, tmp_path: Path
) -> None:
    (tmp_path / "rgb").mkdir()
    (tmp_path / "depth").mkdir()
    with pytest.raises(UserError, match="is empty: no photo"):
        export(checkpoint, tmp_path / "out", **{**options, "calibration": tmp_path})
    assert not (tmp_path / "out").exists()


def test_a_missing_calibration_folder_is_named(
    checkpoint: Path, options: Options, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="is not a folder"):
        export(checkpoint, tmp_path / "out", **{**options, "calibration": tmp_path / "none"})


def test_nan_in_a_weight_is_named(
    make_network: Callable[..., DepthNet], options: Options, tmp_path: Path
) -> None:
    network = make_network()
    network.encoder.conv_stem.weight.data[0, 0, 0, 0] = math.nan
    save_checkpoint(tmp_path, network, name="toy", training_data="", metrics={})
    with pytest.raises(UserError, match=r"encoder\.conv_stem\.weight holds NaN"):
        export(tmp_path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_a_network_that_overflows_is_named(
    make_network: Callable[..., DepthNet], options: Options, tmp_path: Path
) -> None:
    network = make_network(depth_encoding="inverse")
    network.encoder.bn1.running_var.fill_(-1)
    save_checkpoint(tmp_path, network, name="toy", training_data="", metrics={})
    with pytest.raises(UserError, match="the network gives NaN or infinity for"):
        export(tmp_path, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_the_formats_can_be_listed_without_tensorflow_or_torch() -> None:
    import subprocess
    import sys

    code = (
        "import sys, ghostdepth_export.convert.formats, ghostdepth_export.convert.op_versions; "
        "print(sorted({'torch', 'tensorflow', 'onnx', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
