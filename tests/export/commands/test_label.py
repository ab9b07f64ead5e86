"""`ghostdepth label`: what it writes, and that killing it loses nothing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from bench_depth.core.dataset import list_pairs, read_depth, read_rgb
from ghostdepth_train.distillation import load_teacher
from ghostdepth_train.models.network import resize

from tests import forks
from tests.export.conftest import Command


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize("name", ["toy-fp32.onnx", "toy-fp32.tflite"])
def test_an_exported_file_teaches_what_its_checkpoint_teaches(
    name: str, exported: Path, checkpoint: Path, dataset: Path
) -> None:
    file, network = load_teacher(str(exported / name)), load_teacher(str(checkpoint))
    for pair in list_pairs(dataset)[:2]:
        rgb = torch.from_numpy(read_rgb(pair.rgb)).permute(2, 0, 1)[None]
        expected = resize(network(rgb).log_depth.exp(), *rgb.shape[-2:])
        torch.testing.assert_close(file(rgb).log_depth.exp(), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_labels_after_a_kill_are_those_of_an_undisturbed_run(
    checkpoint: Path, dataset: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    photos = tmp_path / "photos"
    (photos / "rgb").mkdir(parents=True)
    originals = [pair.rgb for pair in list_pairs(dataset)]
    for index in range(120):
        (photos / "rgb" / f"{index:03}.png").symlink_to(originals[index % len(originals)])
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    words = ["label", "--teacher", checkpoint, "--photos", photos, "--out"]
    forks.run(*words, whole)
    assert capfd.readouterr().out.strip() == f"{whole}: 120 new labels, 120 in all"
    forks.kill(*words, killed, once=(killed / "003.png").exists)
    before = contents(killed)
    assert 4 < len(before) < 121
    for path in killed.glob("[!.]*.png"):
        assert np.array_equal(read_depth(path), read_depth(whole / path.name))
    forks.run(*words, killed)
    after = {name: data for name, data in contents(killed).items() if not name.startswith(".")}
    assert after == contents(whole)


@pytest.mark.parametrize("words", [[], ["--teacher", "ghostdepth-nano", "--stored", "labels"]])
def test_labels_come_from_teachers_or_from_stored_ones(
    words: list[str], tmp_path: Path, command: Command
) -> None:
    (tmp_path / "rgb").mkdir()
    cv2.imwrite(str(tmp_path / "rgb" / "a.png"), np.zeros((8, 8, 3), np.uint8))
    err = command("label", "--unlabelled", tmp_path, *words, code=2).err
    assert "(--teacher), or folders of stored labels (--stored)" in err
