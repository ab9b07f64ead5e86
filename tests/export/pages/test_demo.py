"""The demo from end to end, on a tiny random network."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from bench_depth.model.released import read_catalogue
from bench_depth.results import records as results
from bench_depth.timing.measure import TimingPlan
from ghostdepth_export.convert.formats import FORMATS
from ghostdepth_export.pages import demo
from ghostdepth_export.pi4.counter.graph import probe

from tests.export.conftest import CAMERA
from tests.export.pi4.synthetic_counts import count_without_qemu, counts

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_it_leaves_files_results_and_page(
    checkpoint: Path,
    exported: Path,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def export(*asked: Path, progress: Callable[[str], None], **options: object) -> list[Path]:
        assert asked == (checkpoint, out / "models")
        assert options == {"camera": CAMERA, "calibration": dataset}, "`exported` is of others"
        progress("building toy-int8.onnx")
        shutil.copytree(exported, out / "models")
        return [out / "models" / f"toy-{kind}" for kind in FORMATS]

    monkeypatch.setattr(demo, "export", export)
    out = tmp_path / "demo"
    count_without_qemu(monkeypatch, counts(1_000_000))
    lines: list[str] = []
    done = demo.run(
        checkpoint, dataset, out, camera=CAMERA, plan=TimingPlan(0, 1, 0), log=lines.append
    )
    assert done.page == out / "report.html" and not done.unpredicted

    measured = results.load(out / "results.json")
    names = [f"toy-{kind}" for kind in FORMATS]
    assert [record.file for record in measured.models] == names
    for record in measured.models:
        assert record.accuracy is not None
        assert len(record.accuracy.images) == 6
        assert (record.predicted is not None) == record.file.endswith(".tflite")
    assert all((out / "models" / name).is_file() for name in names)
    verified = json.loads((out / "models" / "verify.json").read_text())
    assert all(file["passed"] for file in verified["files"])
    page = (out / "report.html").read_text()
    assert page.count("<article>") == 6
    assert all(name in page for name in names)
    assert "building toy-int8.onnx" in lines
    assert "Predicted latency<" in page


@pytest.mark.parametrize("part", ["", "rgb", "depth"])
def test_missing_samples_are_named_before_anything_is_made(part: str, tmp_path: Path) -> None:
    samples = tmp_path / "samples"
    if part:
        (samples / part).mkdir(parents=True)
    with pytest.raises(UserError, match=r"samples/(rgb|depth) is not a folder"):
        demo.run(tmp_path / "checkpoint", samples, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_missing_checkpoint_is_named(dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="checkpoint"):
        demo.run(tmp_path / "checkpoint", dataset, tmp_path / "out")
    assert not (tmp_path / "out" / "report.html").exists()


def test_what_stops_the_measuring_is_passed_on(dataset: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "toy.tflite"
    damaged.write_bytes(b"no model")
    shown: list[str] = []
    with pytest.raises(UserError, match=r"toy\.tflite is damaged or truncated") as caught:
        demo._measure([damaged], dataset, tmp_path / "out", TimingPlan(0, 1, 0), shown.append)
    assert caught.value.exit_code == 3
    assert not (tmp_path / "out" / "results.json").exists()


def test_without_qemu_nothing_is_predicted_and_the_reason_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "toy.tflite"
    model.write_bytes(probe())
    monkeypatch.setenv("PATH", str(tmp_path))
    measured = results.load(REPOSITORY / "benchmarks/results/demo.json")
    own = [dataclasses.replace(record, contract=None) for record in measured.models]
    mine = dataclasses.replace(measured, models=own)
    same, reason = demo._predict(mine, [model, tmp_path / "toy.onnx"], print)
    assert same is mine
    assert re.match(r"qemu-aarch64 is not installed; .* apt install qemu-user", reason)
    # The files of a released checkpoint have the figures that came with it.
    nano = next(each for each in read_catalogue().models if each.name == "ghostdepth-nano")
    for place, record in enumerate(measured.models):
        assert record.contract is not None
        file = record.file.replace(record.contract.name, nano.name)
        contract = dataclasses.replace(record.contract, checkpoint_sha256=nano.checkpoint_sha256)
        measured.models[place] = dataclasses.replace(record, file=file, contract=contract)
    released, reason = demo._predict(measured, [model], print)
    assert reason == ""
    predicted = {r.file: r.predicted for r in released.models if r.predicted is not None}
    assert set(predicted) == {f"ghostdepth-nano-{kind}.tflite" for kind in ("fp32", "int8")}
    assert all(p.method == "the figures that came with the release" for p in predicted.values())
    listed = {file.file: file.pi4_ms for file in nano.files}
    for file, found in predicted.items():
        assert (found.ms, found.low_ms, found.high_ms) == listed[file]
