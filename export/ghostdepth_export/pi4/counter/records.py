"""The counts of models, in memory and as a file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench_depth.core.errors import UserError
from bench_depth.core.files import read_json, write_bytes
from ghostdepth_export.pi4.counter.listing import NOTHING, InstructionCounts

SCHEMA = "ghostdepth-counts/2"


@dataclass(frozen=True)
class OpCounts:
    """One op of the graph.

    Attributes:
        index: Its place in the order of execution, from 0.
        name: Its type, like `CONV_2D`.
        output: The name of its first output tensor.
        shape: Of that tensor, like `1x480x640x1`.
        counts: From the call of its kernel to the return.
    """

    index: int
    name: str
    output: str
    shape: str
    counts: InstructionCounts


@dataclass(frozen=True)
class ModelCounts:
    """One warm invocation of a model.

    Attributes:
        file: The model's file name.
        runtime: TensorFlow Lite's version.
        cpu: As QEMU calls it.
        qemu: QEMU's version.
        total: The ops and what is outside them.
        outside: Between and around the ops: the interpreter's loop and Python's call of it.
        ops: In the order of execution.
    """

    file: str
    runtime: str
    cpu: str
    qemu: str
    total: InstructionCounts
    outside: InstructionCounts
    ops: list[OpCounts]


def by_type(ops: Sequence[OpCounts]) -> dict[str, tuple[int, InstructionCounts]]:
    """The number of ops and their counts by type, most instructions first."""
    table: dict[str, tuple[int, InstructionCounts]] = {}
    for op in ops:
        number, counts = table.get(op.name, (0, NOTHING))
        table[op.name] = number + 1, counts + op.counts
    return dict(sorted(table.items(), key=lambda item: -item[1][1].instructions))


def write_counts(path: Path, models: Sequence[ModelCounts]) -> None:
    """Writes counts as JSON with one op a line, so that a difference of two files can be read."""
    value = {"schema": SCHEMA, "models": [_plain(model) for model in models]}
    # Line ends are never inside a JSON string, so joining lines keeps the meaning.
    text = re.sub(
        r"\{[^{}]*\}", lambda m: re.sub(r"\s*\n\s*", " ", m[0]), json.dumps(value, indent=1)
    )
    write_bytes(path, f"{text}\n".encode())


def read_counts(path: Path) -> list[ModelCounts]:
    """Reads what `write_counts` wrote.

    Raises:
        UserError: The file is missing, or is not of this form.
    """
    value = read_json(path)
    try:
        if value["schema"] != SCHEMA:
            raise UserError(f"{path} is of the form {value['schema']}, not {SCHEMA}; make it anew")
        return [_model(entry) for entry in value["models"]]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} holds no counts ({SCHEMA}); make it anew") from error


def _plain(model: ModelCounts) -> dict[str, Any]:
    value = asdict(model)
    for op in value["ops"]:
        op.update(op.pop("counts"))
    return value


def _model(entry: dict[str, Any]) -> ModelCounts:
    names = ("index", "name", "output", "shape")
    ops = [
        OpCounts(
            **{name: op[name] for name in names},
            counts=InstructionCounts(**{key: op[key] for key in op if key not in names}),
        )
        for op in entry["ops"]
    ]
    total, outside = InstructionCounts(**entry["total"]), InstructionCounts(**entry["outside"])
    return ModelCounts(**{**entry, "ops": ops, "total": total, "outside": outside})
