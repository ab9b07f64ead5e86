"""bench-depth-native on the emulated Pi, beside bench-depth in Python."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import subprocess
from pathlib import Path

import pytest
from bench_depth import __version__
from bench_depth.core.errors import UserError
from bench_depth.machine.board import SLOWED, UNDERVOLTAGE, Health, flagged
from bench_depth.model.contract import ModelContract, StateTensor, read_contract
from bench_depth.plausibility.advice import DATA_ADVICE, OUTPUT_ADVICE
from bench_depth.results import records as results
from bench_depth.results.advice import ADVICE
from bench_depth.timing.measure import TimingPlan, summarize
from ghostdepth_export.convert.flatbuffer import pack, unpack
from ghostdepth_export.host.checkout import SOURCE
from ghostdepth_export.pi4.emulator import Machine
from ghostdepth_export.ship.native import build_native

from .program import FILES, INT8, PROGRAM, QUICK, THREADS, Native


def test_it_needs_no_newer_system_than_bullseye(program: Path) -> None:
    done = subprocess.run(
        ["aarch64-linux-gnu-readelf", "--version-info", program],
        check=True,
        capture_output=True,
        text=True,
    )
    versions = [int(minor) for minor in re.findall(r"GLIBC_2\.(\d+)", done.stdout)]
    assert max(versions) <= 31
    # GCC 10's library, see its manual, "ABI Policy and Guidelines".
    versions = [int(minor) for minor in re.findall(r"GLIBCXX_3\.4\.(\d+)", done.stdout)]
    assert max(versions) <= 28


def steady(health: Health) -> Health:
    """Without what changes from one moment to the next."""
    return dataclasses.replace(health, load=None, swapped_in=None)


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize("file", FILES)
def test_the_output_is_the_python_runtimes_to_the_bit(
    file: str, threads: int, native: Native, reference: Path
) -> None:
    output = reference / f"native-{threads}-{file}.bin"
    arguments = ["--model", f"/models/{file}", "--threads", threads, *QUICK]
    done = native(*arguments, "--input", "picture.ppm", "--save-output", output.name)
    assert done.returncode == 0, done.stderr
    assert output.read_bytes() == (reference / f"python-{threads}" / f"{file}.bin").read_bytes()


def test_a_raw_tensor_is_taken_as_it_is(native: Native, reference: Path) -> None:
    done = native("--model", INT8, *QUICK, "--input", "picture.rgb", "--save-output", "raw.bin")
    assert done.returncode == 0, done.stderr
    expected = reference / "python-4" / "ghostdepth-s-int8.tflite.bin"
    assert (reference / "raw.bin").read_bytes() == expected.read_bytes()


@pytest.fixture(scope="module")
def python_results(pi: Machine, work: Path) -> results.Results:
    """What bench-depth in Python gives for the same files."""
    models = [part for file in FILES for part in ("--model", f"/models/{file}")]
    pi.run(["bench-depth", *models, *QUICK, "--json", "/work/p.json"])
    return results.load(work / "p.json")


@pytest.mark.parametrize("file", FILES)
def test_bench_depth_reads_the_results_file(
    file: str, native: Native, python_results: results.Results, work: Path, exported: Path
) -> None:
    model = f"/models/{file}"
    done = native("--model", model, *QUICK, "--min-runs", 7, "--threads", 2, "--json", "n.json")
    assert done.returncode == 0, done.stderr
    ours, theirs = results.load(work / "n.json"), python_results
    assert ours.context.program == f"bench-depth-native {__version__}"
    assert (ours.context.threads, ours.context.warmup, ours.context.min_runs) == (2, 0, 7)
    assert ours.context.board == theirs.context.board
    (record,), other = ours.models, theirs.models[FILES.index(file)]
    for field in ("file", "bytes", "sha256", "contract", "input", "output"):
        assert getattr(record, field) == getattr(other, field), field
    for when in ("before", "after"):
        assert steady(getattr(record, when)) == steady(getattr(other, when)), when
        assert getattr(record, when).load >= 0
    assert record.contract == read_contract(exported / file)
    assert record.sha256 == hashlib.sha256((exported / file).read_bytes()).hexdigest()
    assert record.runtime.version.startswith("2.1.0 ")
    assert record.runtime.xnnpack
    assert record.peak_rss_bytes > record.bytes
    assert "emulated" in record.warnings
    assert record.file in done.stdout
    assert f"{record.invoke.statistics.median:.2f}" in done.stdout
    for timing in (record.invoke, record.preprocess, record.postprocess):
        assert len(timing.times_ns) >= 7
        # Python's sums are exact, ours of 113 bits.
        expected = dataclasses.asdict(summarize(timing.times_ns))
        for field in ("mean", "sd"):
            assert getattr(timing.statistics, field) == pytest.approx(expected[field], rel=1e-14)
        expected |= {"mean": timing.statistics.mean, "sd": timing.statistics.sd}
        assert dataclasses.asdict(timing.statistics) == expected


def test_min_time_is_reached(native: Native, work: Path) -> None:
    done = native("--model", INT8, *QUICK, "--min-time", 1.5, "--json", "time.json")
    assert done.returncode == 0, done.stderr
    (record,) = results.load(work / "time.json").models
    assert sum(record.invoke.times_ns) > 1.4e9
    assert len(record.preprocess.times_ns) == 2


def test_json_on_standard_output_is_all_there_is_on_it(native: Native) -> None:
    done = native("--model", INT8, *QUICK, "--json", "-")
    assert json.loads(done.stdout)["schema"] == results.SCHEMA
    assert "median ms" in done.stderr


def test_a_model_without_a_contract_is_measured_with_a_warning(
    native: Native, work: Path, exported: Path
) -> None:
    model = unpack((exported / "ghostdepth-s-int8.tflite").read_bytes())
    model.metadata = []
    (work / "bare.tflite").write_bytes(pack(model))
    assert native("--model", "bare.tflite", *QUICK, "--json", "bare.json").returncode == 0
    (record,) = results.load(work / "bare.json").models
    assert record.contract is None
    assert "no-contract" in record.warnings


@pytest.mark.parametrize(
    ("answer", "flags"),
    [("throttled=0x50005", 0x50005), ("throttled=0x0", 0), ("VCHI failed", None), ("", None)],
)
def test_the_firmware_is_asked(answer: str, flags: int | None, pi: Machine, work: Path) -> None:
    (work / "bin").mkdir(exist_ok=True)
    (work / "bin" / "vcgencmd").write_text(
        f'#!/bin/sh\n[ "$1" = get_throttled ] && echo {answer}\n'
    )
    (work / "bin" / "vcgencmd").chmod(0o755)
    path = "/work/bin:/usr/local/bin:/usr/bin:/bin"
    command = [PROGRAM, "--model", INT8, *QUICK, "--json", "/work/health.json"]
    pi.run(command, env={"PATH": path})
    (record,) = results.load(work / "health.json").models
    assert record.before.throttled == record.after.throttled == flags
    readings = record.before, record.after
    assert ("throttled" in record.warnings) == flagged(*readings, SLOWED)
    # Which an emulated board need not tell.
    assert "throttling-unknown" not in record.warnings
    assert ("undervoltage" in record.warnings) == flagged(*readings, UNDERVOLTAGE)


def test_help_and_version(native: Native) -> None:
    assert native("--version").stdout == f"bench-depth-native {__version__}\n"
    assert "--save-output FILE" in native("--help").stdout


def source(name: str) -> str:
    return (SOURCE / "device/native/src" / name).read_text()


def test_every_field_of_the_contract_is_checked() -> None:
    checked = re.findall(r'\{"(\w+)", Kind::', source("contract.cpp"))
    fields = [*dataclasses.fields(ModelContract), *dataclasses.fields(StateTensor)]
    assert checked == [field.name for field in fields if field.name != "state"]


def test_it_measures_as_long_and_warns_of_the_same_as_bench_depth() -> None:
    defaults = re.findall(r"  (?:int|double) (\w+) = ([\d.]+);", source("measure.h"))
    assert {name: float(value) for name, value in defaults} == dataclasses.asdict(TimingPlan())
    # It takes no flags that describe a model, what Ctrl-C ends is not kept, and no op is timed.
    # It has one runtime, which is part of it, compares no models, takes no dataset, and does not
    # look at the depth. It does not count the ops that XNNPACK runs.
    others = (
        "unknown-output",
        "relative-depth",
        "interrupted",
        "no-profile",
        "runtime-passed-over",
        "xnnpack-in-part",
        "ratio-unclear",
        *OUTPUT_ADVICE,
        *DATA_ADVICE,
    )
    pythons = [c for c in ADVICE if c not in others]
    assert re.findall(r'^    \{"([a-z-]+)",', source("results.cpp"), re.M) == pythons


def test_a_missing_compiler_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="cmake is not installed"):
        build_native(tmp_path / "build")
