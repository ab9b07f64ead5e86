"""Small depth models of the transformers library with random weights, and what is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from ghostdepth_train.checkpoint import read_tensors, write_tensors

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
