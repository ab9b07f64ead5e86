"""Flags, presets and sidecars say the same things in their own ways."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from bench_depth.commands.flags import IMAGENET_MEAN, IMAGENET_STD, add_arguments, from_arguments
from bench_depth.core.errors import BAD_INPUT, UserError
from bench_depth.model.description import (
    FIELDS,
    SCHEMA,
    Description,
    describe,
    merge,
    presets,
    read_sidecar,
)

MODEL = Path("m.tflite")


def said(*arguments: str) -> Description | None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return from_arguments(parser.parse_args(arguments))


def sidecar(folder: Path, name: str = "m.tflite.json", **value: Any) -> Path:
    path = folder / name
    path.write_text(json.dumps({"schema": SCHEMA, **value}))
    return path


def test_no_flag_says_nothing() -> None:
    assert said() is None
    assert said("--layout", "auto") is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("--layout nchw", {"input_layout": "NCHW"}),
        ("--color bgr", {"input_color": "BGR"}),
        ("--input-range -1 1", {"input_range": (-1, 1)}),
        ("--input-size 640x480", {"input_size": (640, 480)}),
        ("--resize letterbox", {"resize": "letterbox"}),
        ("--output depth", {"output": "depth"}),
        ("--quantity inverse-depth", {"quantity": "inverse-depth"}),
        ("--unit mm", {"unit": "mm"}),
        ("--output-scale 2.5 --output-offset -1", {"output_scale": 2.5, "output_offset": -1}),
        ("--normalize none", {"input_range": (0, 255)}),
        (
            "--normalize imagenet",
            {"input_range": (0, 1), "input_mean": IMAGENET_MEAN, "input_std": IMAGENET_STD},
        ),
        (
            "--normalize 0.5/0.25",
            {"input_range": (0, 1), "input_mean": (0.5,) * 3, "input_std": (0.25,) * 3},
        ),
        (
            "--normalize 1,2,3/4,5,6 --input-range 0 255",
            {"input_range": (0, 255), "input_mean": (1, 2, 3), "input_std": (4, 5, 6)},
        ),
    ],
)
def test_every_flag_says_one_thing(arguments: str, expected: dict[str, Any]) -> None:
    found = said(*arguments.split())
    assert found == Description(**expected)
    assert {found.origin(name) for name in expected} == {"the flags say"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--input-size 640", "--input-size 640 is not WIDTHxHEIGHT"),
        ("--input-size 0x480", "an input of 0x480 is impossible"),
        ("--input-size 20000x1", "an input of 20000x1 is impossible"),
        ("--input-range 1 1", "an input range from 1 to 1 is empty"),
        ("--input-range 0 inf", "infinite or not a number"),
        ("--normalize mean", "--normalize mean is not imagenet, none or MEAN/STD"),
        ("--normalize 1,2/3", "is not imagenet, none or MEAN/STD"),
        ("--normalize 0.5/0", "a standard deviation of 0 is impossible"),
        ("--normalize nan/1", "infinite or not a number"),
        ("--normalize imagenet --input-range 0 255", "is for --input-range 0 1"),
        ("--output-scale 0", "an output scale of 0"),
        ("--output-scale nan", "infinite or not a number"),
        ("--output-offset=-1e31", "or above 1e.30"),
    ],
)
def test_an_impossible_flag_is_a_usage_error(arguments: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        said(*arguments.split())
    assert caught.value.exit_code == BAD_INPUT


def test_flags_go_over_the_preset() -> None:
    found = said("--preset", "midas-v2.1-small", "--input-size", "320x256", "--color", "bgr")
    assert found is not None
    assert (found.quantity, found.input_size, found.open_size) == (
        "inverse-depth",
        (320, 256),
        (256, 256),
    )
    assert found.origin("quantity") == "the preset midas-v2.1-small says"
    assert found.origin("input_color") == "the flags say"


def test_a_range_takes_mean_and_deviation_along() -> None:
    found = said("--preset", "midas-v2.1-small", "--normalize", "none")
    assert found is not None
    assert (found.input_range, found.input_mean, found.input_std) == ((0, 255), None, None)


@pytest.mark.parametrize("name", presets())
def test_every_preset_says_how_pixels_go_in_and_what_comes_out(name: str) -> None:
    preset = presets()[name]
    assert preset.sources and all(source.startswith("https://") for source in preset.sources)
    assert preset.says.input_range is not None
    assert preset.says.quantity is not None and preset.says.unit is not None
    # What a file can tell of itself is left to it.
    assert preset.says.input_layout is None and preset.says.input_size is None


def test_a_model_without_a_sidecar_is_as_the_flags_say(tmp_path: Path) -> None:
    assert describe(tmp_path / MODEL) is None
    given = Description(unit="mm")
    assert describe(tmp_path / MODEL, given) == given


def test_a_sidecar_says_every_field(tmp_path: Path) -> None:
    values = {
        "input_layout": "NCHW",
        "input_color": "BGR",
        "input_range": [0, 1],
        "input_mean": [0.1, 0.2, 0.3],
        "input_std": [1, 2, 3],
        "input_size": [320, 240],
        "resize": "letterbox",
        "output": "depth",
        "output_scale": 2,
        "output_offset": 1,
        "quantity": "log-depth",
        "unit": "mm",
        "hfov": 62.2,
        "open_layout": "NHWC",
        "open_size": [1, 2],
    }
    assert set(values) == set(FIELDS)
    path = sidecar(tmp_path, **values)
    found = describe(tmp_path / MODEL)
    assert found is not None
    for name, value in values.items():
        assert getattr(found, name) == (tuple(value) if isinstance(value, list) else value), name
    assert found.origin("unit") == f"{path} says"


def test_the_command_line_goes_over_the_sidecar_and_that_over_its_preset(tmp_path: Path) -> None:
    sidecar(tmp_path, preset="fastdepth", unit="mm", resize="letterbox")
    found = describe(tmp_path / MODEL, Description(resize="stretch"))
    assert found is not None
    assert (found.input_range, found.unit, found.resize) == ((0, 1), "mm", "stretch")


def test_one_sidecar_can_serve_two_formats(tmp_path: Path) -> None:
    sidecar(tmp_path, "m.json", unit="mm")
    sidecar(tmp_path, "m.onnx.json", unit="relative")
    for name, unit in (("m.tflite", "mm"), ("m.onnx", "relative")):
        found = describe(tmp_path / name)
        assert found is not None and found.unit == unit


def test_a_json_file_of_another_kind_is_no_sidecar(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"schema": "bench-depth-results/1", "models": []}')
    assert describe(tmp_path / MODEL) is None
    (tmp_path / "m.json").write_text("[1]")
    assert describe(tmp_path / MODEL) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "has schema None"),
        ('{"unit": "mm"}', 'has schema None; a model.s sidecar has "bench-depth-model/1"'),
        ('{"schema": "bench-depth-model/2"}', "has schema 'bench-depth-model/2'"),
        ('{"schema": "bench-depth-model/1", "colour": "BGR"}', "unknown field 'colour'; known"),
        ('{"schema": "bench-depth-model/1", "units": "m"}', "'units'; did you mean unit"),
        ('{"schema": "bench-depth-model/1", "unit": "cm"}', "unit is 'cm'; choose from m, mm"),
        ('{"schema": "bench-depth-model/1", "unit": 1}', "unit must be str, is int"),
        ('{"schema": "bench-depth-model/1", "input_size": [1]}', "must have 2 entries, has 1"),
        ('{"schema": "bench-depth-model/1", "input_mean": [1, 1, 1]}', "given together"),
        ('{"schema": "bench-depth-model/1", "preset": "midas"}', "unknown preset 'midas'; choose"),
    ],
)
def test_a_wrong_sidecar_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "m.tflite.json"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as caught:
        describe(tmp_path / MODEL)
    assert str(path) in str(caught.value)
    assert caught.value.exit_code == BAD_INPUT
    with pytest.raises(UserError):
        read_sidecar(path)


def test_a_shared_sidecar_that_was_meant_as_one_is_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"unit": "mm"}')
    with pytest.raises(UserError, match="has schema None"):
        describe(tmp_path / MODEL)


def test_merging_nothing_gives_nothing() -> None:
    assert merge([None, Description(), None]) is None
