from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench_depth.core.errors import BAD_INPUT, MODEL_FAILED, UserError
from bench_depth.model.contract import METADATA_NAME, SCHEMA, ModelContract, read_contract
from bench_depth.model.readers import tflite_file


def test_json_round_trip(contract: ModelContract) -> None:
    assert ModelContract.from_json(contract.to_json()) == contract


def test_only_what_a_model_has_is_written(contract: ModelContract) -> None:
    assert not {"state", "hfov"} & set(json.loads(contract.to_json()))
    assert json.loads(replace(contract, hfov=63.3).to_json())["hfov"] == 63.3


def test_the_json_names_its_schema(contract: ModelContract) -> None:
    assert json.loads(contract.to_json())["schema"] == SCHEMA == "ghostdepth-model/1"


def test_fields_of_later_versions_are_ignored(contract: ModelContract) -> None:
    value = {**json.loads(contract.to_json()), "colour_of_the_sky": "blue"}
    assert ModelContract.from_json(json.dumps(value)) == contract


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema": "ghostdepth-model/9"}, "ghostdepth-model/9"),
        ({"input_height": "480"}, "input_height must be int, is str"),
        ({"input_height": None}, "input_height must be int, is null"),
        ({"input_height": True}, "input_height must be int, is bool"),
        ({"input_range": [0]}, "input_range must have 2 entries, has 1"),
        ({"output_range": [10, 0.1]}, "output_range is 10 to 0.1 m"),
        ({"output_range": [0, 0]}, "output_range is 0 to 0 m"),
        ({"output_range": [-1, 5]}, "output_range is -1 to 5 m"),
        ({"metrics": []}, "metrics must be dict, is list"),
        ({"hfov": 180}, "its horizontal field of view is 180 degrees"),
    ],
)
def test_wrong_fields_are_named(contract: ModelContract, change: dict, message: str) -> None:
    value = {**json.loads(contract.to_json()), **change}
    with pytest.raises(ValueError, match=message):
        ModelContract.from_json(json.dumps(value))


def test_a_missing_field_is_named(contract: ModelContract) -> None:
    value = json.loads(contract.to_json())
    del value["output_unit"]
    with pytest.raises(ValueError, match="output_unit is missing"):
        ModelContract.from_json(json.dumps(value))


def test_reads_what_tensorflows_classes_put_into_a_tflite_file(
    make_tflite, contract: ModelContract, tmp_path: Path
) -> None:
    assert read_contract(make_tflite(tmp_path / "m.tflite", contract)) == contract


def test_reads_what_the_onnx_library_put_into_an_onnx_file(
    make_onnx, contract: ModelContract, tmp_path: Path
) -> None:
    path = make_onnx(tmp_path / "m.onnx", contract)
    import onnxruntime

    theirs = onnxruntime.InferenceSession(str(path)).get_modelmeta().custom_metadata_map
    assert read_contract(path) == contract
    assert theirs[METADATA_NAME] == contract.to_json()


def test_files_without_a_contract_give_none(tiny_tflite: Path, make_onnx, tmp_path: Path) -> None:
    assert read_contract(tiny_tflite) is None
    assert read_contract(make_onnx(tmp_path / "m.onnx")) is None


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.tflite") as caught:
        read_contract(tmp_path / "none.tflite")
    assert caught.value.exit_code == BAD_INPUT


ZIP = b"PK\x03\x04" + b"x" * 500


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (b"", ".tflite"),
        (b"TFL3", ".tflite"),
        (b"\0" * 64, ".tflite"),
        (ZIP, ".tflite"),
        (b"", ".onnx"),
        (ZIP, ".onnx"),
    ],
)
def test_garbage_is_refused(tmp_path: Path, content: bytes, suffix: str) -> None:
    path = tmp_path / f"garbage{suffix}"
    path.write_bytes(content)
    with pytest.raises(UserError, match="damaged or truncated") as caught:
        read_contract(path)
    assert caught.value.exit_code == MODEL_FAILED


def test_a_tflite_file_cut_anywhere_is_refused(
    make_tflite, contract: ModelContract, tmp_path: Path
) -> None:
    data = make_tflite(tmp_path / "m.tflite", contract).read_bytes()
    # The last bytes may be padding that nothing points to.
    for length in range(len(data) - 8):
        with pytest.raises(ValueError, match=r"offset|behind|table|mark|graph|buffer|not there"):
            tflite_file.check(data[:length])


def test_a_contract_of_another_schema_is_refused(make_onnx, tmp_path: Path) -> None:
    class Foreign:
        def to_json(self) -> str:
            return '{"schema": "someone-else/1"}'

    path = make_onnx(tmp_path / "m.onnx", Foreign())
    with pytest.raises(UserError, match="someone-else/1") as caught:
        read_contract(path)
    assert caught.value.exit_code == MODEL_FAILED
