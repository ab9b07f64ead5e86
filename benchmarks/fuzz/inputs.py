"""Attempts with hostile input: model files, contracts, checkpoints, configs, results, datasets.

Each makes one input by its seed, gives it to the command line, and returns the fault, or nothing.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from bench_depth.model.contract import METADATA_NAME, SCHEMA
from bench_depth.model.description import SCHEMA as SIDECAR_SCHEMA
from corpus import QUICK, RELEASED, ROOT, TINY, Corpus
from damage import Rng, damaged, pick
from processes import Outcome, bench, ghostdepth, left_overs, run
from spoil import spoil
from trees import HUGE, change_message, change_table, changed, encoded, json_bytes

PHOTO = sorted((ROOT / "samples" / "rgb").iterdir())[0]
# A config that is sound after all trains as long as it says.
TRAINING_S = 240.0
YAML_TAGS = ("bool", "int", "float", "null", "str", "binary", "timestamp", "seq", "map", "set", "x")
TRAIN = ROOT / "train" / "ghostdepth_train"
# True of the small .onnx of the corpus, as is `SIDECAR`: what is changed in them is the fault.
CONTRACT = {
    "schema": SCHEMA,
    "name": "small",
    "variant": "fp32",
    **{"input_height": 24, "input_width": 32, "input_dtype": "float32", "input_layout": "NHWC"},
    **{"input_color": "RGB", "input_range": [0, 255], "output_height": 48, "output_width": 64},
    **{"output_dtype": "float32", "output_layout": "NHWC", "output_quantity": "depth"},
    **{"output_unit": "m", "output_range": [0.1, 10.0], "minimum_runtime": "1.10.0"},
    **{"checkpoint_sha256": "0" * 64, "training_data": "nothing", "metrics": {"si_rmse": 0.2}},
    "created_by": "the soak",
}
SIDECAR = {
    **{"schema": SIDECAR_SCHEMA, "input_layout": "NHWC", "input_color": "RGB", "quantity": "depth"},
    **{"input_range": [0.0, 1.0], "input_mean": [0.5, 0.5, 0.5], "input_std": [0.2, 0.2, 0.2]},
    **{"unit": "m", "output_scale": 1.0, "output_offset": 0.5, "resize": "stretch", "hfov": 60.0},
}
# Fields of networks and trainings whose size makes a sound run long.
CONFIG = {
    "network": {
        **{"input_height": 64, "input_width": 96},
        "encoder": {"width_multiplier": 0.25, "se": True, "padding": "same"},
        "decoder": {"widths": [16, 8, 8]},
    },
    **{"epochs": 1, "batch_size": 4, "learning_rate": 2e-3, "warmup_epochs": 1, "eval_every": 1},
}


def measured(model: Path, rng: Rng) -> str:
    """Gives a model file to `bench-depth`, or to its verb `depth`."""
    out = model.parent / "out"
    if rng.random() < 0.75:
        words: list[object] = ["--model", model, *QUICK, "--json", out / "results.json"]
        outcome = run(bench(*words))
    else:
        outcome = run(bench("depth", PHOTO, "--model", model, "--out", out, "--threads", 1))
    whole = outcome.code != 0 or (out.is_dir() and any(out.iterdir()))
    return outcome.fault or left_overs(model.parent) or ("" if whole else "nothing was written")


def tflite_bytes(corpus: Corpus, seed: int, folder: Path) -> str:
    """A .tflite with damaged bytes."""
    rng = np.random.default_rng(seed)
    return measured(_write(folder / "m.tflite", damaged(corpus.tflite, rng)), rng)


def onnx_bytes(corpus: Corpus, seed: int, folder: Path) -> str:
    """An .onnx with damaged bytes."""
    rng = np.random.default_rng(seed)
    return measured(_write(folder / "m.onnx", damaged(corpus.onnx, rng)), rng)


def changed_tflite(corpus: Corpus, rng: Rng) -> bytes:
    """A .tflite in which one to three fields of its tables are others."""
    from ghostdepth_export.convert.flatbuffer import pack, unpack

    while True:
        model = unpack(corpus.tflite)
        for _ in range(int(rng.integers(1, 4))):
            change_table(model, rng)
        # Not every value can be packed, a length as None for one; another is taken then.
        with contextlib.suppress(Exception):
            return bytes(pack(model))


def tflite_fields(corpus: Corpus, seed: int, folder: Path) -> str:
    """A .tflite with changed fields."""
    rng = np.random.default_rng(seed)
    return measured(_write(folder / "m.tflite", changed_tflite(corpus, rng)), rng)


def changed_onnx(corpus: Corpus, rng: Rng) -> bytes:
    """An .onnx in which one to three fields of its messages are others."""
    import onnx

    model = onnx.ModelProto.FromString(corpus.onnx)
    for _ in range(int(rng.integers(1, 4))):
        change_message(model, rng)
    return bytes(model.SerializeToString())


def onnx_fields(corpus: Corpus, seed: int, folder: Path) -> str:
    """An .onnx with changed fields."""
    rng = np.random.default_rng(seed)
    return measured(_write(folder / "m.onnx", changed_onnx(corpus, rng)), rng)


def with_contract(corpus: Corpus, rng: Rng) -> bytes:
    """A sound .onnx with a contract in which fields are others."""
    import onnx

    model = onnx.ModelProto.FromString(corpus.onnx)
    entry = model.metadata_props.add()
    entry.key = METADATA_NAME
    # protobuf holds text in UTF-8 alone.
    entry.value = json_bytes(changed(CONTRACT, rng), rng).decode(errors="replace")
    return bytes(model.SerializeToString())


def contracts(corpus: Corpus, seed: int, folder: Path) -> str:
    """A sound .onnx whose contract, or the JSON beside it, is another."""
    rng = np.random.default_rng(seed)
    if rng.random() < 0.6:
        return measured(_write(folder / "m.onnx", with_contract(corpus, rng)), rng)
    _write(folder / "m.onnx.json", json_bytes(changed(SIDECAR, rng), rng))
    return measured(_write(folder / "m.onnx", corpus.onnx), rng)


def changed_json(path: Path, rng: Rng) -> bytes:
    """A JSON file in which fields are others."""
    return json_bytes(changed(json.loads(path.read_text()), rng), rng)


def changed_checkpoint(corpus: Corpus, rng: Rng, folder: Path) -> Path:
    """A checkpoint in which a field of a JSON file or bytes of the weights are others."""
    checkpoint = folder / "checkpoint"
    shutil.copytree(corpus.checkpoint, checkpoint)
    names = ("config.json", "config.json", "metrics.json", "model.safetensors")
    file = checkpoint / pick(rng, names)
    if file.suffix == ".json":
        file.write_bytes(changed_json(file, rng))
    else:
        other = damaged if rng.random() < 0.5 else other_header
        file.write_bytes(other(file.read_bytes(), rng))
    return checkpoint


def checkpoints(corpus: Corpus, seed: int, folder: Path) -> str:
    """A changed checkpoint, given to one of the verbs that read one."""
    rng = np.random.default_rng(seed)
    checkpoint = changed_checkpoint(corpus, rng, folder)
    val = corpus.data / "val"
    verbs: tuple[Callable[[], int], ...] = (
        ghostdepth("summary", "--checkpoint", checkpoint),
        ghostdepth("evaluate", "--checkpoint", checkpoint, "--data", val),
        ghostdepth("label", "--teacher", checkpoint, "--unlabelled", val, "--out", folder / "out"),
    )
    outcome = run(pick(rng, verbs))
    return outcome.fault or left_overs(folder) or _outside(folder, "checkpoint", "out")


def other_header(data: bytes, rng: Rng) -> bytes:
    """Other fields in the JSON at the beginning of a safetensors file, or another length of it."""
    length = int.from_bytes(data[:8], "little")
    header = changed(json.loads(data[8 : 8 + length]), rng)
    text = json.dumps(header).replace(json.dumps(HUGE), "9" * 400).encode()
    claimed = len(text) if rng.random() < 0.8 else int(rng.integers(2**62))
    return claimed.to_bytes(8, "little") + text + data[8 + length :]


def configs(corpus: Corpus, seed: int, folder: Path) -> str:
    """A training config in which fields are others; a third of them trains."""
    rng = np.random.default_rng(seed)
    file = _write(folder / "config.yaml", yaml_bytes(changed(CONFIG, rng), rng))
    if rng.random() < 0.7:
        outcome = run(ghostdepth("summary", "--config", file))
    else:
        words = ("--config", file, "--out", folder / "out", "--epochs", 1, "--workers", 0)
        outcome = run(ghostdepth("train", "--data", corpus.data, *words), TRAINING_S)
    return outcome.fault or left_overs(folder) or _outside(folder, file.name, "out")


@cache
def recipe_values() -> list[Any]:
    """The recipes of the package."""
    names = sorted((TRAIN / "compress" / "recipes").glob("*.yaml"))
    return [yaml.safe_load(name.read_text()) for name in names]


def changed_recipe(rng: Rng, folder: Path) -> Path:
    """A recipe of the package in which fields are others."""
    recipe = changed(pick(rng, recipe_values()), rng)
    return _write(folder / "recipe.yaml", yaml_bytes(recipe, rng))


def recipes(corpus: Corpus, seed: int, folder: Path) -> str:
    """A changed recipe, given to `compress`."""
    rng = np.random.default_rng(seed)
    file = changed_recipe(rng, folder)
    words = ("--checkpoint", corpus.checkpoint, "--recipe", file, "--data", corpus.data)
    rest = ("--out", folder / "out", "--epochs", 1, "--workers", 0, "--fraction", 0.4)
    outcome = run(ghostdepth("compress", *words, *rest), TRAINING_S)
    # A sound recipe may train for long.
    trains = outcome.code is None and "epoch 1/1" in outcome.text
    return (
        ("" if trains else outcome.fault)
        or left_overs(folder)
        or _outside(folder, file.name, "out")
    )


def yaml_bytes(value: Any, rng: Rng) -> bytes:
    """A value as YAML, sometimes with explicit tags, in another encoding, or cut off."""
    most = sys.getrecursionlimit()
    sys.setrecursionlimit(10 * most)  # The writer's; a reader has the usual one.
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=bool(rng.integers(2)))
    sys.setrecursionlimit(most)
    if rng.random() < 0.2:
        text = _with_tags(text, rng)
    return encoded(text.replace(HUGE, "9" * 400), rng)


def _with_tags(text: str, rng: Rng) -> str:
    """One to three values of block YAML with a tag before them."""
    lines = text.split("\n")
    for _ in range(int(rng.integers(1, 4))):
        index = int(rng.integers(len(lines)))
        key, colon, value = lines[index].partition(": ")
        lines[index] = f"{key}{colon}!!{pick(rng, YAML_TAGS)} {value}"
    return "\n".join(lines)


def results(corpus: Corpus, seed: int, folder: Path) -> str:
    """A results file in which fields are others, as a baseline."""
    rng = np.random.default_rng(seed)
    file = _write(folder / "r.json", changed_json(corpus.results, rng))
    words = ("--model", RELEASED, *QUICK, "--baseline", file, "--fail-if", "median>900%")
    outcome = run(bench(*words))
    return verdict(outcome)


def verdict(outcome: Outcome) -> str:
    """The fault of a comparison; its exit code 1 is no fault."""
    return "" if outcome.code == 1 and "Traceback" not in outcome.text else outcome.fault


def datasets(corpus: Corpus, seed: int, folder: Path) -> str:
    """A dataset in which files are damaged, of other kinds, missing, or no files."""
    rng = np.random.default_rng(seed)
    data = folder / "data"
    shutil.copytree(corpus.data, data)
    spoil(data, rng)
    out, val = folder / "out", data / "val"
    verbs: tuple[Callable[[], int], ...] = (
        ghostdepth("check", data),
        ghostdepth("check", data, "--strict"),
        ghostdepth("evaluate", "--checkpoint", corpus.checkpoint, "--data", val),
        ghostdepth("train", "--data", data, "--out", out, *TINY),
        bench("--model", RELEASED, *QUICK, "--data", val),
        bench("depth", val / "rgb", "--model", RELEASED, "--out", out, "--threads", 1),
    )
    outcome = run(pick(rng, verbs))
    return outcome.fault or left_overs(folder) or _outside(folder, "data", "out")


def _outside(folder: Path, *known: str) -> str:
    found = {path.name for path in folder.iterdir()} - set(known)
    return f"written outside: {sorted(found)}" if found else ""


def _write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
