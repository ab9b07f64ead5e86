from __future__ import annotations

import csv
import dataclasses

from bench_depth.accuracy.bands import Band
from bench_depth.report.csv_markdown import to_csv, to_markdown
from bench_depth.results.records import Results


def test_csv_has_every_figure_in_a_column(measured: Results) -> None:
    first, second = csv.DictReader(to_csv(measured).splitlines())
    assert first["file"] == measured.models[0].file
    assert float(first["invoke_median_ms"]) == 46
    assert float(first["si_rmse"]) == 0.21987
    assert first["ratio"] == "" and float(second["ratio"]) == 0.5
    assert first["cpu"] == "Cortex-A72"
    assert first["threads"] == "4"


def test_csv_leaves_empty_what_was_not_measured(measured: Results) -> None:
    bare = dataclasses.replace(measured.models[0], accuracy=None, preprocess=None)
    (row,) = csv.DictReader(to_csv(dataclasses.replace(measured, models=[bare])).splitlines())
    assert row["rmse"] == row["preprocess_median_ms"] == row["align"] == ""
    assert row["invoke_median_ms"] != ""


def test_markdown_is_a_table_with_as_many_cells_in_every_row(measured: Results) -> None:
    lines = to_markdown(measured).splitlines()
    table = lines[: lines.index("")]
    assert len(table) == 4
    assert len({line.count(" | ") for line in table}) == 1
    machine = "Raspberry Pi 4 Model B Rev 1.4, 4x Cortex-A72"
    assert f"{machine}; tflite_runtime 2.5.0.post1; input 1x480x640x3 uint8." in lines
    assert any(line.startswith("- **throttled**: ") for line in lines)


def test_markdown_has_the_rmse_of_each_model_by_distance(measured: Results) -> None:
    bands = [Band(0, 1, 2, 0.25, 0.123, 0.1, 0.9, 0.0), Band(10, None, 1, 0.75, 4.5, 0.3, 0.5, 0.1)]
    first, second = measured.models
    assert first.accuracy is not None
    first = dataclasses.replace(
        first, file="a|b", accuracy=dataclasses.replace(first.accuracy, bands=bands)
    )
    second = dataclasses.replace(second, file="c", accuracy=None)
    text = to_markdown(dataclasses.replace(measured, models=[first, second]))
    table = text[text.index("| distance m") :].splitlines()[:4]
    assert table == [
        "| distance m | pixels | RMSE a\\|b | RMSE c |",
        "| --- | --: | --: | --: |",
        "| 0-1 | 25.0 % | 0.123 | - |",
        "| 10+ | 75.0 % | 4.500 | - |",
    ]


def test_a_bar_in_a_file_name_does_not_break_the_table(measured: Results) -> None:
    odd = dataclasses.replace(measured.models[0], file="a|b.tflite")
    text = to_markdown(dataclasses.replace(measured, models=[odd]))
    assert "| a\\|b.tflite |" in text
