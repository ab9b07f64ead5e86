"""Attempts within one process: what reads hostile input before a runtime or a training begins.

Hundreds run one after the other in a process, so that an hour tries tens of thousands.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
from corpus import Corpus
from damage import Rng, damaged
from inputs import (
    CONFIG,
    SIDECAR,
    changed_checkpoint,
    changed_json,
    changed_onnx,
    changed_recipe,
    changed_tflite,
    verdict,
    with_contract,
    yaml_bytes,
)
from processes import bench, ghostdepth, inside, left_overs
from spoil import SPOILED, spoil
from trees import changed, json_bytes


def read(work: Callable[[], object]) -> str:
    """The fault of a function that may end in a UserError alone."""
    from bench_depth.core.errors import exit_code

    def command() -> int:
        work()
        return 0

    return inside(lambda: exit_code("bench-depth", command)).fault


def model_files(corpus: Corpus, seed: int, folder: Path) -> str:
    """What is read of a model file without a runtime: contract, JSON beside it, identity."""
    from bench_depth.model.contract import read_contract
    from bench_depth.model.description import describe
    from bench_depth.model.identity import identify

    rng = np.random.default_rng(seed)
    onnx = rng.random() < 0.5
    path = folder / ("m.onnx" if onnx else "m.tflite")
    path.write_bytes((_onnx if onnx else _tflite)(corpus, rng))
    if rng.random() < 0.3:
        path.with_name(f"{path.name}.json").write_bytes(json_bytes(changed(SIDECAR, rng), rng))
    faults = [read(lambda use=use: use(path)) for use in (read_contract, describe, identify)]
    return next(filter(None, faults), "")


def _onnx(corpus: Corpus, rng: Rng) -> bytes:
    if rng.random() < 0.4:
        return damaged(corpus.onnx, rng)
    return (changed_onnx if rng.random() < 0.5 else with_contract)(corpus, rng)


def _tflite(corpus: Corpus, rng: Rng) -> bytes:
    return damaged(corpus.tflite, rng) if rng.random() < 0.7 else changed_tflite(corpus, rng)


def results(corpus: Corpus, seed: int, folder: Path) -> str:
    """A results file in which fields are others, compared."""
    rng = np.random.default_rng(seed)
    file = folder / "r.json"
    file.write_bytes(changed_json(corpus.results, rng))
    pair = (file, corpus.results) if rng.random() < 0.5 else (corpus.results, file)
    return verdict(inside(bench("compare", *pair)))


def configs(corpus: Corpus, seed: int, folder: Path) -> str:
    """A training config or a search space in which fields are others."""
    from ghostdepth_export.search.space import SearchSpace, load_space
    from ghostdepth_train.config import load_train_config

    rng = np.random.default_rng(seed)
    file = folder / "config.yaml"
    if rng.random() < 0.25:
        space = json.loads(SearchSpace().model_dump_json())
        file.write_bytes(yaml_bytes(changed(space, rng), rng))
        return read(lambda: load_space(str(file)))
    file.write_bytes(yaml_bytes(changed(CONFIG, rng), rng))
    if rng.random() < 0.9:
        return read(lambda: load_train_config(str(file)))
    return inside(ghostdepth("summary", "--config", file)).fault


def recipes(corpus: Corpus, seed: int, folder: Path) -> str:
    """A recipe in which fields are others."""
    from ghostdepth_train.compress.recipe import load_recipe

    file = changed_recipe(np.random.default_rng(seed), folder)
    return read(lambda: load_recipe(str(file), epochs=1))


def checkpoints(corpus: Corpus, seed: int, folder: Path) -> str:
    """A checkpoint in which a field of a JSON file, or the weights, are others."""
    from ghostdepth_train.checkpoint import load_checkpoint

    checkpoint = changed_checkpoint(corpus, np.random.default_rng(seed), folder)
    return read(lambda: load_checkpoint(checkpoint))


def datasets(corpus: Corpus, seed: int, folder: Path) -> str:
    """A dataset in which files are damaged, of other kinds, or missing, given to `check`."""
    rng = np.random.default_rng(seed)
    data = folder / "data"
    shutil.copytree(corpus.data / "val", data)
    spoil(data, rng)
    strict = ("--strict",) if rng.random() < 0.5 else ()
    return inside(ghostdepth("check", data, *strict)).fault or left_overs(folder)


def pictures(corpus: Corpus, seed: int, folder: Path) -> str:
    """A damaged photo and a damaged depth map."""
    from bench_depth.core.dataset import list_pairs, read_depth, read_rgb, read_stored_rgb

    rng = np.random.default_rng(seed)
    pair = list_pairs(corpus.data / "val")[0]
    faults = []
    for sound, use in ((pair.rgb, read_rgb), (pair.rgb, read_stored_rgb), (pair.depth, read_depth)):
        path = folder / f"{use.__name__}{sound.suffix}"
        shutil.copy(sound, path)
        if rng.random() < 0.6:
            path.write_bytes(damaged(sound.read_bytes(), rng))
        else:
            SPOILED[int(rng.integers(1, 6))](path, rng)
        faults.append(read(lambda use=use, path=path: use(path)))
    return next(filter(None, faults), "")


def answers(corpus: Corpus, seed: int, folder: Path) -> str:
    """What a Pi answers: facts about it, lists of checksums, its results, lines for the screen."""
    from bench_depth.core.screen import say
    from ghostdepth_export.ship.deploy.ssh.answers import lines
    from ghostdepth_export.ship.deploy.ssh.system import parse_system_facts

    rng = np.random.default_rng(seed)
    facts = b"machine aarch64\npython 3.9 64\nrsync \nprefix /home/pi/p\ncurrent \nfree 12345678\n"
    data = damaged(facts, rng) if rng.random() < 0.8 else facts + b"9" * int(rng.integers(1, 9999))
    size = int(rng.integers(1, 200))
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    faults = [read(lambda: parse_system_facts(lines(pieces)))]
    faults.append(read(lambda: [say(line) for line in lines(pieces)]))
    return next(filter(None, faults), "")


def zones(corpus: Corpus, seed: int, folder: Path) -> str:
    """Zones as a viewer posts them, and as the command line has them."""
    from bench_depth.live.zones import parse_posted, parse_zone

    rng = np.random.default_rng(seed)
    zone = {"name": "door", "x": 0.1, "y": 0.2, "width": 0.3, "height": 0.5}
    body = json_bytes(changed({"zones": [zone, {**zone, "name": "bed"}], "alarm": 1.5}, rng), rng)
    text = damaged(b"door=0.1,0.2,0.3,0.5", rng).decode(errors="surrogateescape")
    faults = (read(lambda: parse_posted(body, bool(seed % 2))), read(lambda: parse_zone(text)))
    return next(filter(None, faults), "")
