"""What goes wrong with the command: one line, an exit code, and what was measured is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bench_depth.commands.cli import main
from bench_depth.core.errors import BAD_INPUT
from bench_depth.core.screen import printable
from bench_depth.results import records as results

from tests.device.commands.running import QUICK, run
from tests.device.conftest import only_line


@pytest.mark.same_everywhere
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--model", "missing.tflite"], 2, "cannot read missing.tflite: No such file"),
        (["--model", "MODEL", "--data", "missing"], 2, "missing does not exist"),
        (["--model", "MODEL", "--data", "EMPTY"], 2, "is empty"),
        (["--model", "MODEL", "--data", "BARE"], 2, "is no dataset; looked for"),
        (["--model", "MODEL", "--data", "EMPTY", "--data-format", "tum"], 2, "rgb.txt"),
        (["--model", "MODEL", "--data", "EMPTY", "--data-split", "val"], 2, "has no splits"),
        (["--model", "MODEL", "--per-image", "a.csv"], 2, "give --data"),
        (["--model", "MODEL", "--runtime", "onnxruntime"], 2, "onnxruntime cannot run"),
        (["--model", "MODEL", "--runtime", "caffe"], 2, "invalid choice: 'caffe'"),
        (["--model", "MODEL", "--affinity", "999"], 2, "no core 999"),
        (["--model", "MODEL", "--affinity", "a"], 2, "write it as 0-2"),
        (["--model", "MODEL", "--sustain", "-1"], 2, "--sustain"),
        (["--model", "MODEL", "--fail-if", "p95=3"], 2, "is not a condition"),
        (["--model", "MODEL", "--baseline", "none.json"], 2, "cannot read none.json"),
        (["--model", "CUT"], 3, "damaged or truncated"),
        (["--model", "MODEL", "--json", "/dev/full"], 2, "cannot write /dev/full: it is a device"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_line_and_an_exit_code(
    tiny_tflite: Path, tmp_path: Path, words: list[str], code: int, message: str
) -> None:
    for folder in ("rgb", "depth"):
        (tmp_path / "empty" / folder).mkdir(parents=True)
    (tmp_path / "bare").mkdir()
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(tiny_tflite.read_bytes()[:500])
    names = {"MODEL": str(tiny_tflite), "CUT": str(cut)}
    names.update(EMPTY=str(tmp_path / "empty"), BARE=str(tmp_path / "bare"))
    done = run(*[names.get(word, word) for word in words], *QUICK)
    assert message in only_line(done.stderr)
    assert done.returncode == code


@pytest.mark.same_everywhere
@pytest.mark.parametrize(
    "words",
    [["--threads", "TEXT"], ["compare", "a", "b", "TEXT"], ["models", "TEXT"]],
)
def test_wrong_usage_shows_what_was_typed_as_printable_text(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([word.replace("TEXT", "\033]0;x\a\u202e\x9b2J\n\ud800") for word in words])
    assert ended.value.code == BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert line == printable(line) and "\\u202e" in line and line.endswith(" --help")


@pytest.mark.same_everywhere
@pytest.mark.parametrize("option", ["--json", "--csv", "--html", "--markdown", "--per-image"])
def test_a_result_that_cannot_be_written_is_known_before_anything_runs(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert main(["ghostdepth-nano", option, str(tmp_path / "pipe")]) == BAD_INPUT
    assert "pipe: it is a pipe; give the name of a file" in only_line(capsys.readouterr().err)


@pytest.mark.same_everywhere
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--fail-if", "p95>3%"], "compares; give --baseline FILE as well"),
        (["--fail-if", "load>1s", "--fail-if", "rmse>1"], "'rmse>1': give --data"),
        (["--fail-if", "score>1"], "'score>1': give --data"),
        (["--data", "DATA", "--save-predictions", "FILE"], "file: it is no folder; choose"),
        (["--data", "DATA", "--save-predictions", "LOOP"], "loop: it is no folder; choose"),
        (["--data", "DATA", "--save-predictions", "FILE/in"], "file/in: Not a directory"),
    ],
)
def test_what_would_fail_after_the_measurement_is_refused_before_it(
    options: list[str],
    says: str,
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "loop").symlink_to("loop")
    for name in ("FILE", "LOOP"):
        options = [word.replace(name, str(tmp_path / name.lower())) for word in options]
    options = [word.replace("DATA", str(dataset)) for word in options]
    monkeypatch.setattr("bench_depth.benchmark.bench._Bench", None)
    assert main(["ghostdepth-nano", *options]) == BAD_INPUT
    assert says in only_line(capfd.readouterr().err)


@pytest.mark.same_everywhere
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


@pytest.mark.parametrize("turns", ["--interleave", "--no-interleave"])
def test_ctrl_c_keeps_what_was_measured(
    turns: str, tiny_tflite: Path, make_tflite, tmp_path: Path
) -> None:
    second, target = make_tflite(tmp_path / "second.tflite"), tmp_path / "results.json"
    command = ["--model", tiny_tflite, "--model", second, "--min-time", "30", "--json", target]
    if turns == "--no-interleave":
        command[4:6] = ["--min-time", "3"]
    process = subprocess.Popen(
        [sys.executable, "-m", "bench_depth", turns, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs, and so their children, are started with Ctrl-C switched off.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("second.tflite" if turns == "--no-interleave" else "2 models"):
            break
    time.sleep(2.5)  # Into the measuring of the second.
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in only_line(err)
    assert "tiny.tflite" in out
    first, second = results.load(target).models
    assert (first.file, second.file) == ("tiny.tflite", "second.tflite")
    assert "interrupted" in second.warnings
    assert second.invoke.statistics.runs > 0


def test_a_crash_inside_a_runtime_is_one_line(tiny_tflite: Path, tmp_path: Path) -> None:
    fake = tmp_path / "tflite_runtime"
    fake.mkdir()
    (fake / "__init__.py").write_text("__version__ = '2.5.0'\n")
    (fake / "interpreter.py").write_text(
        "import os, signal\n"
        "class Interpreter:\n"
        "    def __init__(self, **_): os.kill(os.getpid(), signal.SIGSEGV)\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "bench_depth", "--model", tiny_tflite],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
    )
    line = only_line(done.stderr)
    assert "crashed (segmentation fault) while it worked on" in line
    assert str(tiny_tflite) in line
    assert done.returncode == 3


@pytest.mark.parametrize("turns", ["--interleave", "--no-interleave"])
def test_a_model_that_cannot_be_run_does_not_keep_the_others_from_it(
    turns: str, tiny_tflite: Path, make_tflite, tmp_path: Path
) -> None:
    inputs, target = ((1, 48, 64, 3),) * 2, tmp_path / "results.json"
    other = make_tflite(tmp_path / "two.tflite", shapes=inputs)
    done = run(turns, "--model", other, "--model", tiny_tflite, "--json", target, *QUICK)
    assert done.returncode == 3
    assert "takes 2 inputs" in only_line(done.stderr)
    assert [record.file for record in results.load(target).models] == ["tiny.tflite"]
