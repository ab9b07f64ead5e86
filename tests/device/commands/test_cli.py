"""The command: what it loads, prints and writes."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from bench_depth import __version__
from bench_depth.commands import arguments
from bench_depth.core import metrics
from bench_depth.model import runtimes
from bench_depth.results import records as results

from tests.device.accuracy.sources import VAL_DRIVE, write_kitti
from tests.device.commands.running import QUICK, run
from tests.device.conftest import TfliteMaker, only_line

# Of these bench-depth needs at most its one runtime, and that when it loads the model.
HEAVY = (
    *("ai_edge_litert", "tflite_runtime", "tensorflow", "onnxruntime", "onnx", "torch"),
    *("matplotlib", "pandas", "scipy", "PIL", "http.server", "jinja2", "markupsafe"),
)


@pytest.mark.same_everywhere
def test_no_line_of_the_help_is_wider_than_the_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = arguments.parser().format_help().splitlines()
    assert max(map(len, lines)) <= 80
    assert "  bench-depth models                     list the released models by name" in lines


@pytest.mark.parametrize(
    ("verb", "heavy"),
    [
        ([], ("numpy", "cv2", *HEAVY)),
        (["live"], ("numpy", "cv2", *HEAVY)),
        pytest.param(["depth"], ("numpy", "cv2", *HEAVY), marks=pytest.mark.same_everywhere),
        pytest.param(["compare"], ("cv2", *HEAVY), marks=pytest.mark.same_everywhere),
    ],
)
def test_importing_and_help_load_nothing_heavy(verb: list[str], heavy: tuple[str, ...]) -> None:
    code = (
        "import sys, bench_depth.commands.cli\n"
        f"try:\n    bench_depth.commands.cli.main([*{verb}, '--help'])\nexcept SystemExit: pass\n"
        f"print('HEAVY', [m for m in {heavy} if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "HEAVY []" in done.stdout


@pytest.mark.same_everywhere
def test_nothing_heavy_is_loaded_before_the_runtime_is_chosen(tiny_tflite: Path) -> None:
    code = (
        "import sys\n"
        "from bench_depth.benchmark import bench\n"
        "from bench_depth.commands import cli\n"
        "def choose(*_):\n"
        f"    print('HEAVY', [m for m in {HEAVY} if m in sys.modules], flush=True)\n"
        "    raise SystemExit\n"
        "bench.choose = choose\n"
        "cli.main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "--model", str(tiny_tflite), *QUICK]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "HEAVY []\n"


def test_no_module_imports_what_the_host_or_a_runtime_needs() -> None:
    code = (
        "import sys, pkgutil, importlib, bench_depth\n"
        "for m in pkgutil.walk_packages(bench_depth.__path__, 'bench_depth.'):\n"
        "    if not m.name.endswith('__main__'): importlib.import_module(m.name)\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'tensorflow', 'onnx', "
        "'onnxruntime', 'ai_edge_litert', 'ghostdepth_train', 'ghostdepth_export')])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"


def test_the_choices_are_those_of_the_library() -> None:
    assert [runtime.name for runtime in runtimes.RUNTIMES] == list(arguments.RUNTIMES)
    assert metrics.ALIGNMENTS == arguments._ALIGNMENTS


def test_version() -> None:
    assert run("--version").stdout.strip() == f"bench-depth {__version__}"


def test_a_model_alone_is_enough(tiny_tflite: Path) -> None:
    done = run("--model", tiny_tflite, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "tiny.tflite" in done.stdout
    assert "median" in done.stdout
    assert "at least 3 runs and 0 s" in done.stderr


@pytest.mark.same_everywhere
def test_data_adds_accuracy_to_the_table(tiny_tflite: Path, dataset: Path) -> None:
    done = run("--model", tiny_tflite, "--data", dataset, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "RMSE si-RMSE delta_1" in done.stdout
    assert "no alignment" in done.stdout
    assert "distance m" in done.stdout


@pytest.mark.same_everywhere
def test_a_published_dataset_is_measured_as_it_lies(tiny_tflite: Path, tmp_path: Path) -> None:
    kitti = write_kitti(tmp_path / "kitti")
    files = [tmp_path / "out.csv", tmp_path / "out.html", tmp_path / "out.json"]
    outputs = ["--per-image", files[0], "--html", files[1], "--json", files[2]]
    done = run("--model", tiny_tflite, "--data", kitti, "--data-split", "val", *outputs, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "depth beyond 65.535 m counts as unknown" in done.stderr
    (row,) = csv.DictReader(files[0].read_text().splitlines())
    accuracy = results.load(files[2]).models[0].accuracy
    assert accuracy is not None
    assert accuracy.data == f"{kitti} (kitti, val)"
    assert row["image"] == accuracy.images[0].name == f"{VAL_DRIVE}_0000000005"
    assert float(row["rmse"]) == accuracy.mean.rmse
    assert sum(band.share for band in accuracy.bands) == pytest.approx(1)
    assert files[1].read_text().count('<img src="data:image/jpeg;base64,') == 1


@pytest.mark.same_everywhere
def test_the_page_shows_the_worst_images_by_every_model(
    tiny_tflite: Path, make_tflite: TfliteMaker, dataset: Path, tmp_path: Path
) -> None:
    other, page = make_tflite(tmp_path / "other.tflite"), tmp_path / "out.html"
    models = ["--model", tiny_tflite, "--model", other]
    done = run(*models, "--data", dataset, "--data-limit", 2, "--html", page, *QUICK)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert text.count("The 2 images with the highest si-RMSE, by every model") == 1
    assert text.count('<img src="data:image/jpeg;base64,') == 2
    assert f"accuracy on 2 photos of {dataset} (2 of 4)" in done.stderr


@pytest.mark.same_everywhere
def test_json_on_standard_output_is_all_there_is_on_it(tiny_tflite: Path) -> None:
    done = run("--model", tiny_tflite, "--json", "-", *QUICK)
    assert json.loads(done.stdout)["models"][0]["file"] == "tiny.tflite"
    assert "median" in done.stderr


@pytest.mark.same_everywhere
def test_json_into_a_file(tiny_tflite: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "results.json"
    assert run("--model", tiny_tflite, "--json", target, *QUICK).returncode == 0
    assert len(results.load(target).models) == 1
    assert [path.name for path in target.parent.iterdir()] == ["results.json"]


def test_profile_adds_the_ops_to_the_table_and_the_file(tiny_tflite: Path, tmp_path: Path) -> None:
    target = tmp_path / "results.json"
    done = run("--model", tiny_tflite, "--profile", "0.1", "--json", target, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "tiny.tflite: its ops, 0.1 s" in done.stderr
    assert re.search(r"^longest ops", done.stdout, re.MULTILINE)
    profile = results.load(target).models[0].profile
    assert profile is not None
    assert len((profile.plain or profile).ops) == 3


def test_each_number_of_threads_is_measured(tiny_tflite: Path, tmp_path: Path) -> None:
    target = tmp_path / "results.json"
    done = run("--model", tiny_tflite, "--threads", "1,2", "--json", target, *QUICK)
    assert done.returncode == 0, done.stderr
    assert [record.threads for record in results.load(target).models] == [1, 2]
    assert "tiny.tflite, 1 thread" in done.stdout and "tiny.tflite, 2 threads" in done.stdout


def test_affinity_keeps_the_process_on_the_core(tiny_tflite: Path, tmp_path: Path) -> None:
    core, target = max(os.sched_getaffinity(0)), tmp_path / "results.json"
    done = run("--model", tiny_tflite, "--affinity", str(core), "--json", target, *QUICK)
    assert done.returncode == 0, done.stderr
    assert results.load(target).context.affinity == [core]
    assert f"on cores {core}" in " ".join(done.stdout.split())


@pytest.mark.same_everywhere
def test_strict_ends_with_4_when_there_are_warnings(tiny_tflite: Path) -> None:
    done = run("--model", tiny_tflite, "--strict", *QUICK)
    assert done.returncode == 4
    assert "no-contract" in only_line(done.stderr)


@pytest.mark.same_everywhere
def test_a_condition_that_holds_ends_with_1_and_names_the_figure(
    tiny_tflite: Path, tmp_path: Path
) -> None:
    baseline = tmp_path / "old.json"
    assert run("--model", tiny_tflite, "--json", baseline, *QUICK).returncode == 0
    done = run("--model", tiny_tflite, "--fail-if", "median>0.0001us", *QUICK)
    assert done.returncode == 1
    assert "invoke.median is" in only_line(done.stderr)
    relative = ["--baseline", baseline, "--fail-if", "size>+1%", "--fail-if", "size<-1%"]
    assert run("--model", tiny_tflite, *relative, *QUICK).returncode == 0


@pytest.mark.same_everywhere
def test_csv_and_markdown_hold_the_models(tiny_tflite: Path, tmp_path: Path) -> None:
    files = [tmp_path / "out.csv", tmp_path / "out.md"]
    options = ["--csv", files[0], "--markdown", files[1]]
    assert run("--model", tiny_tflite, *options, *QUICK).returncode == 0
    (row,) = csv.DictReader(files[0].read_text().splitlines())
    assert row["file"] == "tiny.tflite"
    assert float(row["invoke_median_ms"]) > 0
    assert files[1].read_text().startswith("| model |")


@pytest.mark.same_everywhere
def test_compare_tells_the_ratio_of_two_files(tiny_tflite: Path, tmp_path: Path) -> None:
    files = [tmp_path / "a.json", tmp_path / "b.json"]
    for file in files:
        assert run("--model", tiny_tflite, "--json", file, *QUICK).returncode == 0
    done = run("compare", *files)
    assert done.returncode == 0, done.stderr
    assert "tiny.tflite" in done.stdout and "ratio" in done.stdout
    missing = run("compare", files[0], tmp_path / "none.json")
    assert missing.returncode == 2
    assert "cannot read" in only_line(missing.stderr)
