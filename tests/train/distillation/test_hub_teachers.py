"""Depth models of the transformers library as teachers."""

from __future__ import annotations

import contextlib
import itertools
import json
import math
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import load_checkpoint, read_tensors, write_tensors
from ghostdepth_train.compress import Work, compress
from ghostdepth_train.compress.distil import DistilConfig
from ghostdepth_train.config import TrainConfig
from ghostdepth_train.csv_files import csv_rows
from ghostdepth_train.distillation import load_teacher

from tests.train import making
from tests.train.distillation.hub_models import (
    IMAGENET,
    classifier,
    damaged,
    depth_anything,
    depth_pro,
    dpt,
    glpn,
    segmentation,
    transformers,
    without_head,
    without_preprocessor,
    zoedepth,
)


def photos(count: int = 2, size: tuple[int, int] = (96, 128)) -> torch.Tensor:
    coarse = np.random.default_rng(0).integers(0, 255, (count, 6, 8, 3)).astype(np.uint8)
    smooth = [cv2.resize(one, size[::-1], interpolation=cv2.INTER_CUBIC) for one in coarse]
    return torch.from_numpy(np.stack(smooth)).permute(0, 3, 1, 2).contiguous()


@torch.no_grad()
def run(folder: Path, rgb: torch.Tensor, size: tuple[int, int], part: str = "") -> Any:
    """The model on pictures that OpenCV resized: nothing of the teacher's own code."""
    mean, std = (np.array(values, np.float32) for values in IMAGENET)
    small = [
        cv2.resize(one.permute(1, 2, 0).numpy(), size[::-1], interpolation=cv2.INTER_AREA)
        for one in rgb
    ]
    x = (np.stack(small).astype(np.float32) / 255 - mean) / std
    model = transformers.AutoModelForDepthEstimation.from_pretrained(folder).eval()
    return model.get_submodule(part)(pixel_values=torch.from_numpy(x).permute(0, 3, 1, 2))


def test_relative_depth_anything_gives_inverse_depth_of_its_own_size(tmp_path: Path) -> None:
    folder = depth_anything(tmp_path)
    teacher = load_teacher(f"transformers:{folder}")
    rgb = photos(size=(42, 56))
    labels = teacher(rgb)
    assert teacher.quantity == labels.quantity == "relative-inverse"
    expected = run(folder, rgb, (42, 56)).predicted_depth[:, None]
    assert expected.std() > 0.01
    torch.testing.assert_close(labels.values, expected, rtol=1e-3, atol=1e-4)
    assert teacher(photos()).values.shape == (2, 1, 42, 56)


def test_metric_depth_anything_gives_log_metres(tmp_path: Path) -> None:
    folder = depth_anything(tmp_path, depth_estimation_type="metric", max_depth=20)
    rgb = photos(size=(42, 56))
    labels = load_teacher(f"transformers:{folder}")(rgb)
    expected = run(folder, rgb, (42, 56)).predicted_depth[:, None]
    assert expected.std() > 0.01
    assert labels.quantity == "metric"
    torch.testing.assert_close(labels.log_depth.exp(), expected, rtol=1e-3, atol=0)


def test_a_batch_is_labelled_as_its_photos_are_and_float_as_uint8(tmp_path: Path) -> None:
    teacher = load_teacher(f"transformers:{depth_anything(tmp_path)}")
    both, alone = teacher(photos()).values, teacher(photos()[1:]).values
    # Kernels add up in another order for another batch.
    torch.testing.assert_close(both[1:], alone, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(teacher(photos().float() + 0.2).values, both, rtol=1e-3, atol=1e-4)


def test_depth_pro_works_without_the_processor_that_needs_torchvision(tmp_path: Path) -> None:
    folder = depth_pro(tmp_path)
    labels = load_teacher(f"transformers:{folder}")(photos(size=(128, 128)))
    output = run(folder, photos(size=(128, 128)), (64, 64))
    for index, angle in enumerate(output.field_of_view.tolist()):
        width = 256
        focal_length = 0.5 * width / math.tan(0.5 * math.radians(angle))
        inverse = output.predicted_depth[index] * width / focal_length
        expected = 1 / inverse.clamp(1e-4, 1e4)
        off = (labels.log_depth[index, 0] - expected.log()).abs()
        assert off.median() < 0.01


def test_the_same_weights_have_the_same_identity_and_others_another(tmp_path: Path) -> None:
    first = depth_anything(tmp_path / "a")
    spec = f"transformers:{first}"
    assert load_teacher(spec).identity == load_teacher(spec).identity
    before = load_teacher(spec).identity
    weights = first / "model.safetensors"
    tensors, _ = read_tensors(weights)
    tensors["head.conv3.bias"] += 1
    write_tensors(weights, tensors)
    assert load_teacher(spec).identity != before


@torch.no_grad()
def test_a_vits_tokens_become_maps_in_the_places_of_their_patches(tmp_path: Path) -> None:
    folder = depth_anything(tmp_path)
    teacher = load_teacher(f"transformers:{folder}")
    rgb = photos(size=(42, 56))
    maps = teacher(rgb).features
    layers = run(folder, rgb, (42, 56), part="backbone").feature_maps
    assert teacher.channels == {4: 16, 8: 16, 16: 16, 32: 16}
    for found, tokens in zip(maps.values(), layers, strict=True):
        assert found.shape == (2, 16, 3, 4)  # Patches of 14 pixels.
        for row, column in itertools.product(range(3), range(4)):
            wanted = tokens[:, 1 + 4 * row + column]  # The class token is the first.
            torch.testing.assert_close(found[..., row, column], wanted, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("make", "channels", "sizes"),
    [
        (dpt, [16, 16, 16, 16], [(2, 2)] * 4),
        (glpn, [8, 12, 16, 20], [(16, 16), (8, 8), (4, 4), (2, 2)]),
        (zoedepth, [16, 16, 16, 16], [(4, 4)] * 4),
    ],
)
def test_transformers_of_every_kind_show_their_maps(
    make: Callable[[Path], Path],
    channels: list[int],
    sizes: list[tuple[int, int]],
    tmp_path: Path,
) -> None:
    teacher = load_teacher(f"transformers:{make(tmp_path)}")
    maps = teacher(photos(1, (64, 64))).features
    assert dict(teacher.channels) == dict(zip((4, 8, 16, 32), channels, strict=True))
    assert {n: x.shape[1] for n, x in maps.items()} == teacher.channels
    assert [tuple(x.shape[2:]) for x in maps.values()] == sizes
    assert all(bool(x.isfinite().all()) for x in maps.values())


@pytest.mark.parametrize("loss", ["affinity", "attention", "feature"])
def test_a_student_learns_from_the_maps_of_a_vit(
    loss: str, data: Path, config: TrainConfig, tmp_path: Path
) -> None:
    spec = f"transformers:{depth_anything(tmp_path / 'vit')}"
    student = load_checkpoint(making.saved(tmp_path / "student", config.network))
    distil = DistilConfig.model_validate(
        {"teachers": (spec,), "ground_truth": 0, "response": 0, "strides": (16,), loss: 1}
        | {"training": {"epochs": 8, "eval_every": 8, "batch_size": 4, "learning_rate": 0.01}}
    )
    compress(student, distil, making.work(data, tmp_path / "out"))
    losses = [float(row["loss"]) for row in csv_rows(tmp_path / "out" / "run" / "log.csv")]
    assert min(losses[-2:]) < 0.8 * losses[0]


@pytest.mark.parametrize(
    ("make", "strides", "says"),
    [
        (depth_pro, (16, 32), "has no feature map for stride 16, 32, which feature, affinity"),
        (depth_anything, (2, 16), "has no feature map for stride 2, which"),
    ],
)
def test_a_teacher_without_the_maps_is_refused_in_a_line(
    make: Callable[[Path], Path], strides: tuple[int, ...], says: str, work: Work, tmp_path: Path
) -> None:
    spec = f"transformers:{make(tmp_path / 'teacher')}"
    config = DistilConfig(teachers=(spec,), affinity=1, strides=strides)
    with pytest.raises(UserError, match=says) as error:
        config.check(None, work)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (segmentation, "is a DPTForSemanticSegmentation, not a model that gives depth"),
        (classifier, "is a ViTForImageClassification, not a model that gives depth"),
        (without_head, "lack head.conv1.bias and 5 more"),
        (without_preprocessor, "has no preprocessor_config.json"),
        (damaged, "is no depth model that transformers can load"),
        (lambda folder: folder, "is no depth model that transformers can load"),
        (lambda folder: folder / "nowhere" / "at" / "all", "is not a folder"),
    ],
)
def test_what_gives_no_depth_is_refused_in_a_line(
    make: Callable[[Path], Path], says: str, tmp_path: Path
) -> None:
    folder = make(tmp_path)
    with pytest.raises(UserError, match=says) as error:
        load_teacher(f"transformers:{folder}")
    assert str(folder) in str(error.value)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models: one whose processor the library has, one that has it for torchvision alone."""
    makers = (depth_anything, depth_pro)
    return {make.__name__: make(tmp_path_factory.mktemp(make.__name__)) for make in makers}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("size", {"height": value, "width": 56}) for value in (10**9, 0, -3, 4.5, True, "x", [])),
        *(("size", value) for value in (10**9, "640x480", [56, 56], {"longest_edge": 10**9})),
        *(("image_mean", value) for value in ([1], [], "x", [1, 2, "x"])),
        *(("image_std", value) for value in ([1], 0, [1, 0, 1], [[1, 1, 1]], 1e300)),
        *(("crop_size", 10**7), ("size_divisor", -1)),
        *(("rescale_factor", "x"), ("rescale_factor", 0), ("resample", 99)),
        *(("image_processor_type", 5), ("do_resize", {"a": []})),
    ],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["depth_anything", "depth_pro"])
def test_a_preprocessor_that_cannot_be_is_one_line_or_another_input(
    made: dict[str, Path], kind: str, key: str, value: object, tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(made[kind], tmp_path / kind))
    file = folder / "preprocessor_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    checked = key not in {"resample", "image_processor_type", "do_resize"}
    # The library may take the others in its own way.
    with contextlib.ExitStack() as stack:
        stack.enter_context(
            pytest.raises(UserError, match=f": {key} in its")
            if checked
            else contextlib.suppress(UserError)
        )
        load_teacher(f"transformers:{folder}")(photos(1, (48, 64)))


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "another.txt"])
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_a_model_of_no_regular_files_is_refused(
    make: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    folder = depth_anything(tmp_path)
    (folder / name).unlink(missing_ok=True)
    make(folder / name)
    with pytest.raises(UserError, match=rf"{name}: it is a (pipe|device)"):
        load_teacher(f"transformers:{folder}")


@pytest.mark.parametrize("name", ["../../outside.safetensors", "/dev/zero", "pipe"])
def test_weights_that_an_index_names_lie_in_the_folder(name: str, tmp_path: Path) -> None:
    folder = depth_anything(tmp_path)
    os.mkfifo(folder / ".pipe")
    (folder / ".pipe").rename(tmp_path / "pipe")
    index = {"metadata": {}, "weight_map": {"head.conv1.bias": name}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(UserError, match=r"a file of the weights|pipe: it is a pipe"):
        load_teacher(f"transformers:{folder}")


def test_code_of_a_model_is_not_asked_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = {"model_type": "theirs", "auto_map": {"AutoConfig": "theirs.Config"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "theirs.py").write_text("raise SystemExit('ran')")
    monkeypatch.setattr("builtins.input", lambda *words: pytest.fail("asked"))
    with pytest.raises(UserError, match="is no depth model that transformers can load"):
        load_teacher(f"transformers:{tmp_path}")


def test_a_folder_of_transformers_is_known_without_its_prefix(tmp_path: Path) -> None:
    folder = depth_anything(tmp_path)
    with pytest.raises(UserError, match=f"say transformers:{folder}"):
        load_teacher(str(folder))


def test_a_name_that_cannot_be_fetched_says_download_it_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="download it first and give the folder"):
        load_teacher("transformers:nobody/has-this-model")


def test_a_missing_library_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match="pip install"):
        load_teacher("transformers:any/model")
