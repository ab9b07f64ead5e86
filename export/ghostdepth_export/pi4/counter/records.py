"""Instruction counts of models, in memory and as a file."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench_depth.core.errors import UserError
from bench_depth.core.files import read_json, write_bytes
from ghostdepth_export.pi4.counter.listing import NOTHING, InstructionCounts

SCHEMA = "ghostdepth-counts/3"
# Where ops that XNNPACK leaves to LiteRT take more than this fraction, it takes too little.
_MUCH = 0.25


@dataclass(frozen=True)
class OpCounts:
    """One op of the graph.

    Attributes:
        index: Position in the order of execution, from 0.
        name: Type of the op, like `CONV_2D`; of an operator of XNNPACK with the kind of its kernel,
            like `Convolution (NHWC, F32) DWConv`.
        output: Name of the first output tensor; of a node of ONNX Runtime, the node's name; empty
            for an operator of XNNPACK.
        shape: Shape of the first output, like `1x480x640x1`; empty for an operator of XNNPACK.
        counts: Counts from the call of the op's kernel to its return.
        tasks: Number of tasks, of about the same work, that an operator of XNNPACK has for four
            threads; None for others.
    """

    index: int
    name: str
    output: str
    shape: str
    counts: InstructionCounts
    tasks: int | None = None


@dataclass(frozen=True)
class ModelCounts:
    """One warm invocation of a model.

    Attributes:
        file: Name of the model file.
        runtime: Version of the runtime, like `2.5.0.post1`.
        cpu: QEMU's name of the CPU.
        qemu: Version of QEMU.
        total: Counts of the ops and outside them.
        outside: Counts between and around the ops: the interpreter's loop and Python's call of it.
        ops: Counts of each op, in the order of execution.
        library: Name of the runtime, a key of `runtimes.RUNTIMES`.
    """

    file: str
    runtime: str
    cpu: str
    qemu: str
    total: InstructionCounts
    outside: InstructionCounts
    ops: list[OpCounts]
    library: str = "2.5"

    @property
    def kept(self) -> list[OpCounts]:
        """The ops that LiteRT keeps from XNNPACK; none of another runtime."""
        return [op for op in self.ops if self.library == "litert" and op.tasks is None]


def little_delegated(kept: Mapping[str, float], total: float, what: str) -> str | None:
    """The warning for a graph of which XNNPACK takes too little; None where it takes enough.

    Args:
        kept: Cost of the ops that LiteRT keeps, by type of op.
        total: Cost of all ops, in the same unit.
        what: Name of the unit, like `instructions`.
    """
    fraction = sum(kept.values()) / total if total else 0.0
    if fraction <= _MUCH:
        return None
    return (
        f"{fraction:.0%} of the {what} is in ops that XNNPACK does not take ({', '.join(kept)}): "
        "LiteRT runs them in its own kernels, on one thread; export the file as float32 or int8, "
        "or replace these ops"
    )


def by_type(ops: Sequence[OpCounts]) -> dict[str, tuple[int, InstructionCounts]]:
    """The number of ops and their counts by type, most instructions first."""
    table: dict[str, tuple[int, InstructionCounts]] = {}
    for op in ops:
        number, counts = table.get(op.name, (0, NOTHING))
        table[op.name] = number + 1, counts + op.counts
    return dict(sorted(table.items(), key=lambda item: -item[1][1].instructions))


def write_counts(path: Path, models: Sequence[ModelCounts]) -> None:
    """Writes counts as JSON with one op per line, so that a diff of two files is readable."""
    value = {"schema": SCHEMA, "models": [_plain(model) for model in models]}
    text = json.dumps(value, indent=1, separators=(",", ":"))
    # JSON strings hold no line ends, so joining lines does not change the value.
    text = re.sub(r"\{[^{}]*\}", lambda m: re.sub(r"\s*\n\s*", "", m[0]), text)
    write_bytes(path, f"{text}\n".encode())


def read_counts(path: Path) -> list[ModelCounts]:
    """Reads what `write_counts` wrote.

    Raises:
        UserError: The file is missing or malformed.
    """
    value = read_json(path)
    try:
        if value["schema"] != SCHEMA:
            raise UserError(f"{path} has the schema {value['schema']}, not {SCHEMA}; count again")
        return [_model(entry) for entry in value["models"]]
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} holds no counts ({SCHEMA}); count again") from error


def _plain(model: ModelCounts) -> dict[str, Any]:
    value = asdict(model)
    # Last, because they are many.
    ops = value.pop("ops")
    for op in ops:
        op.update(op.pop("counts"))
        if op["tasks"] is None:
            del op["tasks"]
    return {**value, "ops": ops}


def _model(entry: dict[str, Any]) -> ModelCounts:
    names = ("index", "name", "output", "shape")
    ops = [
        OpCounts(
            **{name: op[name] for name in names},
            counts=InstructionCounts(
                **{key: op[key] for key in op if key not in (*names, "tasks")}
            ),
            tasks=op.get("tasks"),
        )
        for op in entry["ops"]
    ]
    total, outside = InstructionCounts(**entry["total"]), InstructionCounts(**entry["outside"])
    return ModelCounts(**{**entry, "ops": ops, "total": total, "outside": outside})
