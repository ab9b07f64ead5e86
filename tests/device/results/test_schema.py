from __future__ import annotations

import dataclasses
import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from bench_depth.results import records as results
from bench_depth.results.predicted_latency import PredictedLatency
from bench_depth.results.records import Results
from bench_depth.results.schema import json_schema
from bench_depth.timing.profiling import OpTiming, Profile

FILE = resources.files("bench_depth") / "results" / "results.schema.json"


@pytest.fixture(scope="module")
def validator() -> Any:
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads(FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_the_packages_schema_is_that_of_its_dataclasses() -> None:
    assert json.loads(FILE.read_text()) == json_schema(), (
        "run: python -m bench_depth.results.schema > device/bench_depth/results/results.schema.json"
    )


def test_a_results_file_is_valid(validator: Any, measured: Results) -> None:
    validator.validate(json.loads(results.to_json(measured)))


def test_a_results_file_with_a_profile_is_valid(validator: Any, measured: Results) -> None:
    plain = Profile("calls", 9, 2.5, 2.4, [OpTiming(0, "ADD", "sum", "1x2", 2.0, 0.1, 1.0)])
    run = dataclasses.replace(plain, delegated=1, plain=plain)
    records = [dataclasses.replace(measured.models[0], profile=run)]
    text = results.to_json(dataclasses.replace(measured, models=records))
    validator.validate(json.loads(text))


def test_a_predicted_time_is_valid_and_comes_back(
    validator: Any, measured: Results, tmp_path: Path
) -> None:
    time = PredictedLatency("Board 4", "Lite 2.5", 4, 1500.0, 12.0, 11.0, 14.0, "counts")
    records = [dataclasses.replace(measured.models[0], predicted=time)]
    content = dataclasses.replace(measured, models=records)
    validator.validate(json.loads(results.to_json(content)))
    results.save(content, tmp_path / "results.json")
    assert results.load(tmp_path / "results.json") == content


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["schema"], "bench-depth-results/9"),
        (["models", 0, "invoke", "times_ns", 1], "46"),
        (["models", 0, "warnings"], None),
        (["context", "board", "cores"], 4.5),
        (["models", 0, "accuracy", "mean", "rmse"], "0.5"),
    ],
)
def test_a_wrong_value_is_not_valid(
    validator: Any, measured: Results, path: list[Any], value: object
) -> None:
    content = json.loads(results.to_json(measured))
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    assert not validator.is_valid(content)


def test_a_missing_field_is_not_valid_but_a_new_one_is(validator: Any, measured: Results) -> None:
    content = json.loads(results.to_json(measured))
    content["models"][0]["colour"] = "blue"
    assert validator.is_valid(content)
    del content["models"][0]["sha256"]
    assert not validator.is_valid(content)
