"""Builds the released models' files from their checkpoints, and the catalogue of their figures.

    python benchmarks/models.py [--catalogue]

Every format of every checkpoint in `models/` is exported to `build/models`, some minutes in all.
The files that are committed are replaced where they differ, as `git status` then shows.
The figures of the catalogue come from committed results: accuracy and size from
`models/*/metrics.json`, errors on other cameras from `benchmarks/transfer/results.csv`,
milliseconds from `benchmarks/latency/released*.csv`.
With --catalogue only that is written.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_bytes, write_json
from bench_depth.model.released import (
    CATALOGUE,
    MODELS,
    SCHEMA,
    VARIANTS,
    Catalogue,
    ReleasedFile,
    ReleasedModel,
)
from ghostdepth_export.pi4.latency import BOARDS
from ghostdepth_train.csv_files import csv_rows
from transfer.run import AS_STORED, INT8, Row
from transfer.run import read as read_cameras

ROOT = Path(__file__).resolve().parent.parent
BUILT = ROOT / "build" / "models"
LATENCY = ROOT / "benchmarks" / "latency" / "released.csv"
BOARD_LATENCY = LATENCY.with_name("released-boards.csv")
RUNTIME_LATENCY = LATENCY.with_name("released-runtimes.csv")
# The package brings the int8 files up to this size, in bytes. The others lie beside their
# checkpoints, and `make models` builds all.
LARGEST = 2_000_000


def catalogue() -> Catalogue:
    """The catalogue that the committed results give."""
    latency = {row["file"]: row for row in csv_rows(LATENCY)}
    boards = csv_rows(BOARD_LATENCY)
    boards += [row for row in csv_rows(RUNTIME_LATENCY) if row["runtime"] != "2.5"]
    cameras = [row for row in read_cameras().values() if row["set"] != AS_STORED]
    models = [_model(folder, latency, boards, cameras) for folder in checkpoints()]
    models.sort(key=_milliseconds)
    return Catalogue(
        schema=SCHEMA,
        latency="predicted for a Raspberry Pi 4 with TensorFlow Lite 2.5 and four threads",
        accuracy="106 validation photos of NYU Depth v2, without alignment",
        models=models,
        boards={board.name: board.title for board in BOARDS.values()},
    )


def checkpoints() -> list[Path]:
    """The folders of the released checkpoints, teachers left out."""
    return sorted(path.parent for path in ROOT.glob("models/*/model.safetensors"))


def _model(
    folder: Path, latency: dict[str, Row], boards: list[Row], cameras: list[Row]
) -> ReleasedModel:
    metrics, config = _json(folder / "metrics.json"), _json(folder / "config.json")
    files = [
        ReleasedFile(
            file=name,
            bytes=_size((MODELS / name, folder / name), row["bytes"]),
            rmse=round(row["rmse"], 4),
            si_rmse=round(row["si_rmse"], 4),
            delta_1=round(row["delta_1"], 4),
            pi4_ms=_predicted(latency.get(name)),
            board_ms=_by_board(boards, name, None),
            runtime_ms={
                runtime: _by_board(boards, name, runtime)
                for runtime in sorted(
                    {
                        line["runtime"]
                        for line in boards
                        if line["file"] == name
                        if "runtime" in line
                    }
                )
            },
        )
        for name in (f"{folder.name}-{variant}" for variant in VARIANTS)
        for row in [metrics["files"][name]]
    ]
    return ReleasedModel(
        name=folder.name,
        checkpoint_sha256=_sha256(folder / "model.safetensors"),
        trained_on=config["training_data"],
        files=files,
        cameras_si_rmse=_on_cameras(
            [row for row in cameras if (row["network"], row["file"]) == (folder.name, INT8)]
        ),
    )


def _by_board(
    lines: list[Row], file: str, runtime: str | None
) -> dict[str, tuple[float, float, float]]:
    """Milliseconds and band of a file by board; None for TensorFlow Lite 2.5."""
    return {
        line["board"]: (float(line["ms"]), float(line["low"]), float(line["high"]))
        for line in lines
        if (line["file"], line.get("runtime")) == (file, runtime)
    }


def _on_cameras(rows: list[Row]) -> float | None:
    """Mean si-RMSE over the sets of photos of `benchmarks/transfer`, each with the same weight."""
    return round(sum(float(row["si_rmse"]) for row in rows) / len(rows), 4) if rows else None


def _size(held: tuple[Path, ...], measured: int) -> int:
    """The size of a file that is committed; of another the measured one.

    A contract holds all measured figures, so a size changes by some bytes when they are measured
    again.
    """
    return next((file.stat().st_size for file in held if file.is_file()), measured)


def _predicted(row: dict[str, str] | None) -> tuple[float, float, float] | None:
    if row is None:
        return None
    return float(row["ms_4_threads"]), float(row["low"]), float(row["high"])


def _band(model: ReleasedModel) -> tuple[float, float, float]:
    """The predicted latency of a model's preferred file, and the ends of its band."""
    assert model.files[0].pi4_ms is not None
    return model.files[0].pi4_ms


def _milliseconds(model: ReleasedModel) -> float:
    return _band(model)[0]


def committed(listed: Catalogue) -> list[Path]:
    """The int8 files that are committed, in the device package or beside their checkpoints."""
    firsts = [(model.name, model.files[0]) for model in listed.models]
    return [
        (MODELS if file.bytes <= LARGEST else ROOT / "models" / name) / file.file
        for name, file in firsts
    ]


def build(listed: Catalogue) -> None:
    """Exports every format of every checkpoint; replaces what the device package holds."""
    from ghostdepth_export.convert.export import export

    for folder in checkpoints():
        export(folder, BUILT)
    for target in committed(listed):
        data = (BUILT / target.name).read_bytes()
        same = target.is_file() and target.read_bytes() == data
        print(f"{target.name}: {'as committed' if same else 'replaced'}")
        if not same:
            write_bytes(target, data)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def main(arguments: argparse.Namespace) -> int:
    """Writes the files and the catalogue; gives the exit code."""
    listed = catalogue()
    if not arguments.catalogue:
        build(listed)
        listed = catalogue()
    write_json(CATALOGUE, dataclasses.asdict(listed))
    print(f"catalogue: {CATALOGUE}")
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--catalogue", action="store_true", help="write the catalogue alone")
    options = parser.parse_args()
    sys.exit(exit_code("models.py", lambda: main(options)))
