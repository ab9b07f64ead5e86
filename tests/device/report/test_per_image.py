from __future__ import annotations

import csv
import dataclasses

from bench_depth.report.per_image import to_csv
from bench_depth.results.records import Results


def test_a_line_for_each_model_and_image(measured: Results) -> None:
    second = dataclasses.replace(measured.models[1], file="b,c.tflite", threads=2)
    records = [measured.models[0], second]
    rows = list(csv.DictReader(to_csv(dataclasses.replace(measured, models=records)).splitlines()))
    assert [(row["file"], row["threads"], row["image"]) for row in rows] == [
        (measured.models[0].file, "4", "a"),
        (measured.models[0].file, "4", "b"),
        ("b,c.tflite", "2", "a"),
        ("b,c.tflite", "2", "b"),
    ]
    assert rows[0]["align"] == "none"
    assert float(rows[0]["si_rmse"]) == 0.21987
    assert float(rows[0]["delta_3"]) == 0.97


def test_an_image_that_was_left_out_has_no_figures(measured: Results) -> None:
    row = list(csv.DictReader(to_csv(measured).splitlines()))[1]
    assert row["image"] == "b"
    assert row["rmse"] == row["delta_1"] == ""


def test_a_model_whose_accuracy_was_not_measured_has_no_line(measured: Results) -> None:
    bare = [dataclasses.replace(record, accuracy=None) for record in measured.models]
    assert to_csv(dataclasses.replace(measured, models=bare)).count("\n") == 1
