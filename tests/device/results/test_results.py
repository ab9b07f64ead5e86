from __future__ import annotations

import json
from pathlib import Path

import pytest
from bench_depth.core.errors import UserError
from bench_depth.report import table
from bench_depth.results import records as results
from bench_depth.results.advice import ADVICE
from bench_depth.results.records import Results


def test_a_results_file_is_read_as_it_was_written(measured: Results, tmp_path: Path) -> None:
    results.save(measured, tmp_path / "results.json")
    assert results.load(tmp_path / "results.json") == measured


def test_every_single_time_is_in_the_file(measured: Results, tmp_path: Path) -> None:
    results.save(measured, tmp_path / "results.json")
    value = json.loads((tmp_path / "results.json").read_text())
    assert value["schema"] == "bench-depth-results/1"
    assert value["models"][0]["invoke"]["times_ns"] == [46_000_000, 47_000_000, 60_000_000]


def test_a_truncated_results_file_is_refused(measured: Results, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text(results.to_json(measured)[:300])
    with pytest.raises(UserError, match="not valid JSON"):
        results.load(path)


def test_a_results_file_of_another_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"schema": "bench-depth-results/2"}')
    with pytest.raises(UserError, match="bench-depth-results/2"):
        results.load(path)


def test_a_missing_field_is_named_by_its_path(measured: Results, tmp_path: Path) -> None:
    value = json.loads(results.to_json(measured))
    del value["models"][1]["invoke"]["statistics"]["p99"]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(value))
    with pytest.raises(UserError, match=r"models\[1\]\.invoke\.statistics\.p99 is missing"):
        results.load(path)


def test_a_full_disk_is_one_clear_line(measured: Results) -> None:
    with open("/dev/full", "wb") as full:
        target = Path(f"/dev/fd/{full.fileno()}")
        with pytest.raises(UserError, match=f"cannot write {target}: No space left"):
            results.save(measured, target)


def test_no_line_of_the_table_is_wider_than_80_columns(measured: Results) -> None:
    assert max(map(len, table.render(measured).splitlines())) <= 80


def test_the_table_holds_what_was_measured(measured: Results) -> None:
    text = table.render(measured)
    stages = [line.split() for line in text.splitlines() if line.startswith("invoke")]
    assert stages == [["invoke", *["46.0"] * 5, "0.00", "46.0", "46.0", "21.7"]] * 2
    accuracy = [line.split()[1:] for line in text.splitlines() if line.endswith(" 345.6")]
    assert accuracy == [["0.512", "0.2199", "0.7123", "345.6"]] * 2
    assert "0.500 0.450 .. 0.550" in text
    assert "tflite_runtime 2.5.0.post1, XNNPACK off, 4 threads" in text
    words = " ".join(text.split())
    assert "1.23 MB, sha256 000000000000, 1x480x640x3 uint8 -> 1x480x640x1 float32" in words
    assert "Raspberry Pi 4 Model B Rev 1.4, 4x Cortex-A72, up to 1500 MHz, governor" in words
    assert "48 -> 61 C, throttled=0x40000" in words


def test_the_table_holds_the_errors_by_distance(measured: Results) -> None:
    lines = table.render(measured).splitlines()
    heads = [i for i, line in enumerate(lines) if line.startswith("distance m")]
    assert len(heads) == 2
    for i in heads:
        header, near, far = (" ".join(line.split()) for line in lines[i : i + 3])
        assert header == "distance m pixels RMSE REL delta_1 bias images"
        assert near == "1-2 25.0 % 0.500 0.200 0.6000 +0.100 1234"
        assert far == "10+ 75.0 % 12.345 0.300 0.5123 -0.200 1"
    assert " ".join(" ".join(lines).split()).count("bias is the mean") == 1


def test_results_from_before_there_were_bands_are_read(measured: Results, tmp_path: Path) -> None:
    value = json.loads(results.to_json(measured))
    for record in value["models"]:
        del record["accuracy"]["bands"]
    path = tmp_path / "results.json"
    path.write_text(json.dumps(value))
    found = results.load(path)
    assert all(r.accuracy is not None and r.accuracy.bands == [] for r in found.models)
    assert "distance m" not in table.render(found)


def test_the_table_names_the_alignment_and_what_was_left_out(measured: Results) -> None:
    text = " ".join(table.render(measured).split())
    assert "mean over 1 image of samples, no alignment" in text
    assert "left out, as their ground truth has no valid pixel: b" in text


def test_every_warning_is_explained(measured: Results) -> None:
    text = " ".join(table.render(measured).split())
    for code, advice in ADVICE.items():
        assert f"{code}: {advice}" in text


def test_every_heading_is_bold_on_a_terminal(measured: Results) -> None:
    lines = table.render(measured, terminal=True).splitlines()
    heads = [lines[i - 1] for i, line in enumerate(lines) if line.startswith("---")]
    heads += [line for line in lines if "distance m" in line]
    assert len(heads) == 5
    assert all(head.startswith("\033[1m") for head in heads)


def test_only_a_terminal_gets_terminal_codes(measured: Results) -> None:
    assert "\033" not in table.render(measured)
    assert "\033" in table.render(measured, terminal=True)
