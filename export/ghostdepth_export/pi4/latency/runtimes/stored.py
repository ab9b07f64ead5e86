"""Instruction counts of the released models' structures in LiteRT and ONNX Runtime, as committed.

A retrained network of the same ops and shapes has the same counts, so they are found by structure,
not by the file's checksum. `benchmarks/instructions/runtimes.py` writes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from bench_depth.core.files import read_json, write_bytes
from ghostdepth_export.pi4.counter import InstructionCounts, ModelCounts, OpCounts

SCHEMA = "ghostdepth-runtime-counts/2"
# Structure, runtime, QEMU's name of the core.
Key = tuple[str, str, str]


def read_stored(path: Path | None = None) -> dict[Key, ModelCounts]:
    """The stored counts by structure, runtime and core.

    Args:
        path: File of `write_stored`; None for the shipped one.
    """
    if path is None:
        with resources.as_file(resources.files(__package__) / "counts.json") as shipped:
            return read_stored(shipped)
    value = read_json(path)
    assert value["schema"] == SCHEMA, path
    return {(e["structure"], e["library"], e["cpu"]): _model(e) for e in value["models"]}


def write_stored(path: Path, counts: Mapping[Key, ModelCounts]) -> None:
    """Writes what `read_stored` reads, a line for each model; names of nodes are left out."""
    lines = [json.dumps(_plain(key[0], counts[key])) for key in sorted(counts)]
    head = f'{{"schema": "{SCHEMA}", "models": ['
    write_bytes(path, (head + "\n" + ",\n".join(lines) + "\n]}\n").encode())


def _plain(structure: str, model: ModelCounts) -> dict[str, Any]:
    types = sorted({op.name for op in model.ops})
    return {
        "structure": structure,
        **{name: getattr(model, name) for name in ("file", "library", "runtime", "cpu", "qemu")},
        "outside": model.outside.values(),
        "types": types,
        # Type, shape, tasks, counts.
        "ops": [
            [types.index(op.name), op.shape, op.tasks, *op.counts.values()] for op in model.ops
        ],
    }


def _model(entry: dict[str, Any]) -> ModelCounts:
    ops = [
        OpCounts(index, entry["types"][kind], "", shape, InstructionCounts(*counts), tasks)
        for index, (kind, shape, tasks, *counts) in enumerate(entry["ops"])
    ]
    outside = InstructionCounts(*entry["outside"])
    return ModelCounts(
        file=entry["file"],
        runtime=entry["runtime"],
        cpu=entry["cpu"],
        qemu=entry["qemu"],
        total=sum((op.counts for op in ops), outside),
        outside=outside,
        ops=ops,
        library=entry["library"],
    )
