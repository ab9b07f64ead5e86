"""The model files that the repository holds are those of its checkpoints."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from bench_depth.model.contract import read_contract

MODELS = Path(__file__).resolve().parents[3] / "models"


@pytest.mark.parametrize("file", sorted(MODELS.glob("*/*.tflite")), ids=lambda path: path.name)
def test_a_released_file_was_exported_from_the_checkpoint_beside_it(file: Path) -> None:
    contract = read_contract(file)
    assert contract is not None
    weights = (file.parent / "model.safetensors").read_bytes()
    assert contract.checkpoint_sha256 == hashlib.sha256(weights).hexdigest()
