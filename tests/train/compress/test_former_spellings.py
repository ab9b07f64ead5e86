"""Recipes with the former names of methods and fields are read as the same configs."""

from __future__ import annotations

from typing import Any

import pytest
from ghostdepth_train.compress.methods import method_config

PAIRS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"method": "cut", "levels": 3, "enlarge": 2, "blocks": ["0.0"], "gates": False},
        {"method": "drop_blocks", "levels": 3, "upsample": 2, "blocks": ["0.0"], "se": False},
    ),
    (
        {"method": "prune", "macs": 0.5, "spread": "global", "multiple": 4, "least": 4},
        {"method": "prune", "macs": 0.5, "global_pruning": True, "round_to": 4, "min_channels": 4},
    ),
    (
        {"method": "prune", "macs": 0.5, "spread": "uniform", "share": 0.5},
        {"method": "prune", "macs": 0.5, "global_pruning": False, "min_fraction": 0.5},
    ),
    (
        {"method": "lottery", "share": 0.3},
        {"method": "lottery", "prune_fraction": 0.3},
    ),
    (
        {"method": "distil", "truth": 0.5, "photos": {"labels": "stored"}},
        {"method": "distil", "ground_truth": 0.5, "unlabelled": {"labels": "stored"}},
    ),
    (
        {"method": "calibrate", "photos": 8, "equalise": True, "correct_bias": True},
        {"method": "calibrate", "images": 8, "equalization": True, "bias_correction": True},
    ),
]


@pytest.mark.parametrize(("former", "now"), PAIRS)
def test_former_spellings_give_the_same_config(former: Any, now: Any) -> None:
    config = method_config(former, "recipe")
    assert config == method_config(now, "recipe")
    assert config == method_config(config.model_dump(mode="json"), "recipe")
