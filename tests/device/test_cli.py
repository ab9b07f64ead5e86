from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench_depth import __version__, cli, metrics, results, runtimes

QUICK = ["--warmup", "1", "--min-runs", "3", "--min-time", "0"]


def run(*arguments: object, stdout: int = subprocess.PIPE) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench_depth", *map(str, arguments)],
        check=False,
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
    )


def only_line(text: str) -> str:
    (line,) = [line for line in text.splitlines() if line.startswith("bench-depth: ")]
    assert "Traceback" not in text
    return line


def test_importing_and_help_load_nothing_heavy() -> None:
    code = (
        "import sys, bench_depth.cli\n"
        "try:\n    bench_depth.cli.main(['--help'])\nexcept SystemExit: pass\n"
        "print('HEAVY', [m for m in ('numpy', 'cv2', 'torch', 'tensorflow', 'onnx', 'onnxruntime',"
        " 'ai_edge_litert') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "HEAVY []" in done.stdout


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
    assert [runtime.name for runtime in runtimes.RUNTIMES] == list(cli._RUNTIMES)
    assert metrics.ALIGNMENTS == cli._ALIGNMENTS


def test_version() -> None:
    assert run("--version").stdout.strip() == f"bench-depth {__version__}"


def test_a_model_alone_is_enough(tiny_tflite: Path) -> None:
    done = run("--model", tiny_tflite, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "tiny.tflite" in done.stdout
    assert "median ms" in done.stdout
    assert "at least 3 runs and 0 s" in done.stderr


def test_data_adds_accuracy_to_the_table(tiny_tflite: Path, dataset: Path) -> None:
    done = run("--model", tiny_tflite, "--data", dataset, *QUICK)
    assert done.returncode == 0, done.stderr
    assert "RMSE si-RMSE delta_1" in done.stdout
    assert "no alignment" in done.stdout


def test_json_on_standard_output_is_all_there_is_on_it(tiny_tflite: Path) -> None:
    done = run("--model", tiny_tflite, "--json", "-", *QUICK)
    assert json.loads(done.stdout)["models"][0]["file"] == "tiny.tflite"
    assert "median ms" in done.stderr


def test_json_into_a_file(tiny_tflite: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "results.json"
    assert run("--model", tiny_tflite, "--json", target, *QUICK).returncode == 0
    assert len(results.load(target).models) == 1
    assert [path.name for path in target.parent.iterdir()] == ["results.json"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--model", "missing.tflite"], 2, "cannot read missing.tflite: No such file"),
        (["--model", "MODEL", "--data", "missing"], 2, "missing/rgb is not a folder"),
        (["--model", "MODEL", "--data", "EMPTY"], 2, "is empty"),
        (["--model", "MODEL", "--runtime", "onnxruntime"], 2, "onnxruntime cannot run"),
        (["--model", "MODEL", "--threads", "0"], 2, "0 threads"),
        (["--model", "CUT"], 3, "damaged or truncated"),
        (["--model", "MODEL", "--json", "/dev/full"], 2, "cannot write /dev/full: No space"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_line_and_an_exit_code(
    tiny_tflite: Path, tmp_path: Path, arguments: list[str], code: int, message: str
) -> None:
    for folder in ("rgb", "depth"):
        (tmp_path / "empty" / folder).mkdir(parents=True)
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(tiny_tflite.read_bytes()[:500])
    names = {"MODEL": str(tiny_tflite), "EMPTY": str(tmp_path / "empty"), "CUT": str(cut)}
    done = run(*[names.get(argument, argument) for argument in arguments], *QUICK)
    assert message in only_line(done.stderr)
    assert done.returncode == code


def test_an_unknown_runtime_is_a_usage_error(tiny_tflite: Path) -> None:
    done = run("--model", tiny_tflite, "--runtime", "caffe")
    assert done.returncode == 2
    assert "invalid choice: 'caffe'" in done.stderr


@pytest.mark.parametrize("options", [[], ["--json", "-"]])
def test_a_full_disk_behind_standard_output_is_one_line(
    tiny_tflite: Path, options: list[str]
) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        done = run("--model", tiny_tflite, *options, *QUICK, stdout=full)
    finally:
        os.close(full)
    assert "cannot write to standard output: No space left" in only_line(done.stderr)
    assert done.returncode == 2


def test_ctrl_c_keeps_the_finished_models(tiny_tflite: Path, make_onnx, tmp_path: Path) -> None:
    onnx, target = make_onnx(tmp_path / "second.onnx"), tmp_path / "results.json"
    command = ["--model", tiny_tflite, "--model", onnx, "--min-time", "3", "--json", target]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench_depth", *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, and so their children, are started with Ctrl-C switched off.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("second.onnx"):
            break
    time.sleep(0.5)  # Into the measuring of the second.
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in only_line(err)
    assert "tiny.tflite" in out
    assert [record.file for record in results.load(target).models] == ["tiny.tflite"]
