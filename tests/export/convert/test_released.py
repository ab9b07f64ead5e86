"""The released files are those of the checkpoints, and the catalogue is what the results say."""

from __future__ import annotations

import dataclasses
import itertools
import json
from pathlib import Path
from types import ModuleType

import pytest
from bench_depth.model.contract import read_contract
from bench_depth.model.released import CATALOGUE, MODELS, read_catalogue
from ghostdepth_export.pi4.counter import read_counts
from ghostdepth_export.pi4.latency import read_work

from tests.conftest import benchmark

ROOT = Path(__file__).resolve().parents[3]
PACKAGED = sorted(MODELS.glob("*.tflite"))
FILES = PACKAGED + sorted(ROOT.glob("models/*/*.tflite"))


@pytest.fixture
def models() -> ModuleType:
    return benchmark("models")


def test_the_catalogue_is_that_of_the_committed_results(models: ModuleType) -> None:
    wanted = json.loads(json.dumps(dataclasses.asdict(models.catalogue())))
    assert json.loads(CATALOGUE.read_text()) == wanted, "run python benchmarks/models.py"
    assert sorted(models.committed(read_catalogue())) == sorted(FILES)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_a_released_file_is_what_export_makes_of_its_checkpoint(file: Path) -> None:
    """Everything but the tensors themselves, which would take half a minute each."""
    (model,) = [m for m in read_catalogue().models if file.name in {f.file for f in m.files}]
    (listed,) = [each for each in model.files if each.file == file.name]
    contract = read_contract(file)
    assert contract is not None
    assert contract.checkpoint_sha256 == model.checkpoint_sha256
    assert f"{contract.name}-{contract.variant}.tflite" == file.name
    assert contract.training_data == model.trained_on
    metrics = json.loads((ROOT / f"models/{model.name}/metrics.json").read_text())
    assert contract.metrics == {name: value for name, value in metrics.items() if name != "files"}
    assert file.stat().st_size == listed.bytes


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.name)
def test_the_committed_counts_are_those_of_a_released_files_ops(file: Path) -> None:
    """Latency pairs them by their order."""
    counts = read_counts(ROOT / "benchmarks" / "instructions" / "baseline.json")
    (counted,) = [model for model in counts if model.file == file.name]
    assert [op.name for op in counted.ops] == [op.name for op in read_work(file)]


def test_no_released_model_is_dominated_by_another() -> None:
    """Each that takes longer by prediction than another errs less, on NYU's photos and on all."""
    models = read_catalogue().models
    predicted = [model.files[0].pi4_ms for model in models]
    assert None not in predicted and predicted == sorted(predicted)
    for errors in (
        [model.files[0].rmse for model in models],
        [model.files[0].si_rmse for model in models],
        [1 - model.files[0].delta_1 for model in models],
        [model.cameras_si_rmse for model in models],
    ):
        assert all(faster > slower for faster, slower in itertools.pairwise(errors))


def test_every_released_model_has_its_file_in_a_clone() -> None:
    catalogue = read_catalogue()
    names = {model.name for model in catalogue.models}
    assert {file.name.rpartition("-")[0] for file in FILES} == names
    assert catalogue.default == catalogue.leading
