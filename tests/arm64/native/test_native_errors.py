"""What bench-depth-native says when something is wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ghostdepth_export.convert.flatbuffer import pack, unpack
from ghostdepth_export.pi4.emulator import Machine

from .program import INT8, PROGRAM, QUICK, Native, only_line


def with_contract(exported: Path, **changes: object) -> bytes:
    """The int8 file with fields of its contract changed; None removes one."""
    model = unpack((exported / "ghostdepth-s-int8.tflite").read_bytes())
    (entry,) = [entry for entry in model.metadata if entry.name == b"ghostdepth_contract"]
    buffer = model.buffers[entry.buffer]
    value = {**json.loads(bytes(buffer.data)), **changes}
    text = json.dumps({k: v for k, v in value.items() if v is not None})
    buffer.data = np.frombuffer(text.encode(), np.uint8)
    return pack(model)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"schema": "ghostdepth-model/9"}, 'its schema is "ghostdepth-model/9"'),
        ({"output_unit": None}, "output_unit is missing"),
        ({"input_height": "480"}, "input_height is of another type"),
        ({"input_range": [0]}, "input_range is of another type"),
        ({"output_unit": "mm"}, 'has "mm" in its contract; expected "m"'),
        ({"input_width": 320}, 'has "480x320" in its contract; expected "480x640"'),
        ({"input_dtype": "float32"}, 'has "float32" in its contract; expected "uint8"'),
    ],
)
def test_a_contract_that_is_not_kept_is_refused(
    changes: dict[str, object], complaint: str, native: Native, work: Path, exported: Path
) -> None:
    (work / "changed.tflite").write_bytes(with_contract(exported, **changes))
    done = native("--model", "changed.tflite", *QUICK)
    assert done.returncode == 3
    assert complaint in only_line(done)


@pytest.fixture(scope="session")
def bad_files(work: Path, exported: Path, picture: Path) -> Path:
    whole = (exported / "ghostdepth-s-int8.tflite").read_bytes()
    (work / "truncated.tflite").write_bytes(whole[: len(whole) // 2])
    (work / "empty.tflite").write_bytes(b"")
    noise = np.random.default_rng(1).integers(0, 256, 5000, np.uint8).tobytes()
    (work / "noise.tflite").write_bytes(noise)
    (work / "marked.tflite").write_bytes(noise[:4] + b"TFL3" + noise[8:])
    (work / "folder.tflite").mkdir()
    model = unpack(whole)
    model.subgraphs[0].outputs = [*model.subgraphs[0].outputs, 1]
    (work / "two.tflite").write_bytes(pack(model))
    model = unpack(whole)
    model.operatorCodes[0].builtinCode = 120
    model.operatorCodes[0].version = 99
    (work / "unknown.tflite").write_bytes(pack(model))
    (work / "small.ppm").write_bytes(b"P6 2 1 255\n" + bytes(6))
    (work / "cut.ppm").write_bytes((work / "picture.ppm").read_bytes()[:-1])
    (work / "ascii.ppm").write_bytes(b"P6 640 480 65535\n")
    return work


@pytest.mark.parametrize(
    ("file", "code", "complaint"),
    [
        ("missing.tflite", 2, "cannot read missing.tflite: No such file"),
        ("folder.tflite", 2, "cannot read folder.tflite: it is a folder"),
        ("/models/ghostdepth-s-fp32.onnx", 2, "is no .tflite file"),
        ("empty.tflite", 3, "the mark TFL3 is missing"),
        ("noise.tflite", 3, "the mark TFL3 is missing"),
        ("marked.tflite", 3, "damaged or truncated"),
        ("truncated.tflite", 3, "damaged or truncated"),
        ("two.tflite", 3, "gives 2 outputs"),
        ("unknown.tflite", 3, "cannot load unknown.tflite: "),
    ],
)
def test_a_bad_model_is_one_line(
    file: str, code: int, complaint: str, native: Native, bad_files: Path
) -> None:
    done = native("--model", file, *QUICK)
    assert done.returncode == code, done.stderr
    assert complaint in only_line(done)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "no model given"),
        (["--model", INT8, "--model", INT8], "two models"),
        (["--model", INT8, "--threads", "0"], "--threads 0: a whole number of at least 1"),
        (["--model", INT8, "--min-runs", "many"], "--min-runs many"),
        (["--model", INT8, "--min-runs", "9999999999"], "--min-runs 9999999999"),
        (["--model", INT8, "--warmup", "-1"], "--warmup -1"),
        (["--model", INT8, "--min-time", "nan"], "--min-time nan"),
        (["--model", INT8, "--min-time"], "--min-time needs a value"),
        (["--model", INT8, "--speed", "9"], "unknown option --speed"),
        (["--model", INT8, "-q"], "unknown option -q"),
        (["--model", INT8, "extra"], "unknown argument extra"),
        (["--model", INT8, "--input", "small.ppm"], "has 1x2 pixels, the model takes 480x640"),
        (["--model", INT8, "--input", "cut.ppm"], "cut.ppm is truncated"),
        (["--model", INT8, "--input", "ascii.ppm"], "is not a binary .ppm of 8 bits"),
        (["--model", INT8, "--input", "marked.tflite"], "has 5000 bytes, the model takes 921600"),
        (["--model", INT8, "--input", "nothing"], "cannot read nothing"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: Sequence[str], complaint: str, native: Native, bad_files: Path
) -> None:
    done = native(*QUICK, *arguments)
    assert done.returncode == 2, done.stderr
    assert complaint in only_line(done)


@pytest.mark.parametrize("option", ["--json", "--save-output"])
def test_a_full_disk_is_one_line(option: str, native: Native) -> None:
    done = native("--model", INT8, *QUICK, option, "/dev/full")
    assert done.returncode == 2
    assert "cannot write /dev/full: No space left on device" in only_line(done)


def test_a_full_standard_output_is_one_line(pi: Machine) -> None:
    command = [PROGRAM, "--model", INT8, *QUICK]
    script = '"$@" > /dev/full'
    done = pi.run(["sh", "-c", script, "sh", *command], check=False)
    assert done.returncode == 2
    assert "cannot write to standard output: No space left" in only_line(done)


def test_a_failed_write_leaves_the_old_file_and_no_other(pi: Machine, work: Path) -> None:
    (work / "kept").mkdir()
    (work / "kept" / "r.json").write_text("old")
    command = [PROGRAM, "--model", INT8, *QUICK, "--json", "/work/kept/r.json"]
    # No file may grow over 1 KiB; without the trap the signal would end the process.
    script = 'trap "" XFSZ; ulimit -f 2; "$@"'
    done = pi.run(["sh", "-c", script, "sh", *command], check=False)
    assert done.returncode == 2
    assert "cannot write /work/kept/r.json: File too large" in only_line(done)
    assert (work / "kept" / "r.json").read_text() == "old"
    assert [path.name for path in (work / "kept").iterdir()] == ["r.json"]
