"""Recipes, networks and runs with the former names of fields are read as the same configs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ghostdepth_train.checkpoint import load_checkpoint, read_tensors, write_tensors
from ghostdepth_train.compress.methods import method_config
from ghostdepth_train.config import TrainConfig
from ghostdepth_train.data import read_split
from ghostdepth_train.run_options import RunOptions
from ghostdepth_train.trainer import Trainer

ROOT = Path(__file__).parents[3]
# Released ones, and those that studies start from.
CHECKPOINTS = sorted(
    path.parent
    for folder in ("models", "benchmarks/compression")
    for path in ROOT.glob(f"{folder}/*/config.json")
)

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


@pytest.mark.parametrize("checkpoint", CHECKPOINTS, ids=lambda path: path.name)
def test_committed_networks_are_those_of_their_files(checkpoint: Path) -> None:
    network = json.loads((checkpoint / "config.json").read_text())["network"]
    decoder = load_checkpoint(checkpoint).config.decoder
    factor = network["decoder"].pop("enlarge", 1)
    absent = {"upsample": factor, "attention": [], "stream": None}
    assert decoder.model_dump(mode="json") == absent | network["decoder"]


def test_a_run_of_an_earlier_version_goes_on(data: Path, config: TrainConfig) -> None:
    short = config.model_copy(update={"epochs": 1})
    options = RunOptions(data.parent / "run", "t", "test", workers=0)
    Trainer(short, read_split(data), options).run()
    state = options.out / "last" / "training.safetensors"
    tensors, note = read_tensors(state)
    network = note["config"]["network"]
    network["decoder"]["enlarge"] = network["decoder"].pop("upsample")
    del network["adder"], note["config"]["data"]
    write_tensors(state, tensors, note)
    again = RunOptions(options.out, "t", "test", workers=0, resume=True)
    assert Trainer(short, read_split(data), again).epoch == 1
