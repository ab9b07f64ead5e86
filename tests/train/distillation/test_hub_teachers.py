"""Depth models of the transformers library, built here with random weights, as teachers."""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from bench_depth.core.errors import UserError
from ghostdepth_train.checkpoint import (
    load_checkpoint,
    read_tensors,
    save_checkpoint,
    write_tensors,
)
from ghostdepth_train.compress import Work, compress
from ghostdepth_train.compress.distil import DistilConfig
from ghostdepth_train.config import TrainConfig
from ghostdepth_train.csv_files import csv_rows
from ghostdepth_train.distillation import load_teacher
from ghostdepth_train.models.network import DepthNet

from tests.train import making

transformers = pytest.importorskip("transformers")

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
DINO = {
    "model_type": "dinov2",
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
    "reshape_hidden_states": False,
}


def preprocessor(kind: str, height: int, width: int) -> dict[str, Any]:
    return {
        "image_processor_type": kind,
        "size": {"height": height, "width": width},
        "resample": 2,
        "do_normalize": True,
        "image_mean": IMAGENET[0],
        "image_std": IMAGENET[1],
        "rescale_factor": 1 / 255,
    }


def save(model: Any, folder: Path, settings: dict[str, Any]) -> Path:
    transformers.logging.disable_progress_bar()
    for parameter in model.parameters():
        if parameter.ndim > 1:  # as they start, the output is 1e-9 everywhere
            torch.nn.init.kaiming_normal_(parameter)
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


def depth_anything(folder: Path, **changes: Any) -> Path:
    torch.manual_seed(0)
    config = transformers.DepthAnythingConfig(
        backbone_config={**DINO, "patch_size": 14, "image_size": 56},
        reassemble_hidden_size=16,
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        head_hidden_size=8,
        **changes,
    )
    settings = preprocessor("DPTImageProcessor", 42, 56)
    return save(transformers.DepthAnythingForDepthEstimation(config), folder, settings)


def depth_pro(folder: Path) -> Path:
    torch.manual_seed(0)
    part = {**DINO, "num_hidden_layers": 2, "patch_size": 2, "image_size": 16}
    del part["out_features"], part["reshape_hidden_states"]
    config = transformers.DepthProConfig(
        patch_size=16,
        fusion_hidden_size=16,
        intermediate_hook_ids=[1, 0],
        intermediate_feature_dims=[8, 8],
        scaled_images_ratios=[0.5, 1.0],
        scaled_images_overlap_ratios=[0.0, 0.2],
        scaled_images_feature_dims=[8, 8],
        image_model_config=part,
        patch_model_config=part,
        fov_model_config=part,
        use_fov_model=True,
    )
    settings = preprocessor("DepthProImageProcessor", 64, 64)
    return save(transformers.DepthProForDepthEstimation(config), folder, settings)


def small_dpt() -> dict[str, Any]:
    return {
        "hidden_size": 16,
        "num_hidden_layers": 4,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "image_size": 32,
        "backbone_out_indices": [0, 1, 2, 3],
        "neck_hidden_sizes": [8, 8, 8, 8],
        "fusion_hidden_size": 8,
    }


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


def dpt(folder: Path) -> Path:
    torch.manual_seed(0)
    model = transformers.DPTForDepthEstimation(transformers.DPTConfig(**small_dpt()))
    return save(model, folder, preprocessor("DPTImageProcessor", 32, 32))


def glpn(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.GLPNConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[8, 12, 16, 20],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=8,
    )
    settings = preprocessor("GLPNImageProcessor", 64, 64) | {"size_divisor": 32}
    return save(transformers.GLPNForDepthEstimation(config), folder, settings)


def zoedepth(folder: Path) -> Path:
    torch.manual_seed(0)
    config = transformers.ZoeDepthConfig(
        backbone_config={
            **DINO,
            "model_type": "beit",
            "intermediate_size": 16,
            "patch_size": 16,
            "image_size": 64,
            "use_relative_position_bias": True,
        },
        neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8,
        num_relative_features=4,
        bottleneck_features=8,
        bin_embedding_dim=8,
        bin_configurations=[{"n_bins": 8, "min_depth": 0.001, "max_depth": 10.0}],
    )
    settings = preprocessor("ZoeDepthImageProcessor", 64, 64)
    return save(transformers.ZoeDepthForDepthEstimation(config), folder, settings)


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
    torch.manual_seed(0)
    network = DepthNet(config.network).eval()
    save_checkpoint(tmp_path / "student", network, name="s", training_data="", metrics={})
    distil = DistilConfig.model_validate(
        {"teachers": (spec,), "ground_truth": 0, "response": 0, "strides": (16,), loss: 1}
        | {"training": {"epochs": 8, "eval_every": 8, "batch_size": 4, "learning_rate": 0.01}}
    )
    compress(load_checkpoint(tmp_path / "student"), distil, making.work(data, tmp_path / "out"))
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


def segmentation(folder: Path) -> Path:
    model = transformers.DPTForSemanticSegmentation(transformers.DPTConfig(**small_dpt()))
    return save(model, folder, preprocessor("DPTImageProcessor", 32, 32))


def classifier(folder: Path) -> Path:
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    return save(transformers.ViTForImageClassification(config), folder, {})


def without_head(folder: Path) -> Path:
    depth_anything(folder)
    tensors, _ = read_tensors(folder / "model.safetensors")
    kept = {key: value for key, value in tensors.items() if not key.startswith("head.")}
    write_tensors(folder / "model.safetensors", kept, {})
    return folder


def without_preprocessor(folder: Path) -> Path:
    (depth_anything(folder) / "preprocessor_config.json").unlink()
    return folder


def damaged(folder: Path) -> Path:
    weights = depth_anything(folder) / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    return folder


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
