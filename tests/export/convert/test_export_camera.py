"""Files that give metres for another camera than that of the training data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bench_depth.core.errors import UserError
from bench_depth.depth.model import DepthModel
from bench_depth.model.contract import read_contract
from ghostdepth_export.convert.export import export
from ghostdepth_train.checkpoint import save_checkpoint

from tests.export.conftest import random_network


def test_files_for_another_camera_give_its_metres_and_say_so(dataset: Path, tmp_path: Path) -> None:
    save_checkpoint(
        tmp_path / "start",
        random_network(hfov=90.0),
        name="toy",
        training_data="none",
        metrics={},
    )
    files = {}
    for hfov in (None, 60.0):
        (files[hfov],) = export(
            tmp_path / "start",
            tmp_path / str(hfov),
            camera=(96, 128),
            calibration=dataset,
            formats=["int8.tflite"],
            hfov=hfov,
            progress=lambda line: None,
        )
    photo = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)
    own, narrow = (DepthModel(files[hfov]) for hfov in (None, 60.0))
    # tan(45 degrees) = 1 and tan(30 degrees) = 1 / sqrt(3).
    np.testing.assert_allclose(narrow(photo), own(photo) * np.sqrt(3), rtol=1e-5)
    contracts = {hfov: read_contract(path) for hfov, path in files.items()}
    assert [contract and contract.hfov for contract in contracts.values()] == [90, 60]
    assert narrow.range == pytest.approx(np.multiply(own.range or (), np.sqrt(3)))


def test_a_checkpoint_that_does_not_know_its_camera_is_refused(
    checkpoint: Path, dataset: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="does not say for which camera its metres hold"):
        export(checkpoint, tmp_path / "out", calibration=dataset, hfov=60.0)
    assert not (tmp_path / "out").exists()
