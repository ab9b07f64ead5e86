"""Writes the tables of README.md and of the model cards from committed results files.

    python benchmarks/tables.py [--check]

A table stands between `<!-- table NAME -->` and `<!-- end -->`; what is between is replaced. With
`--check` nothing is written, and the exit code is 1 when a table is not what the results say.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sharpness
from bench_depth.core.files import write_bytes
from bench_depth.model.released import MODELS as PACKAGED
from bench_depth.model.released import ReleasedFile, most_accurate, read_catalogue
from compression import digits, measure
from fuzz import figures as soak
from ghostdepth_train.csv_files import csv_rows, markdown_table
from instructions import baseline as instructions
from instructions import others as other_runtimes
from instructions import runtimes as runtime_instructions
from instructions import threads as thread_instructions
from latency import table as latency
from papers import blocks, pretraining, stream_table, summary
from peers import table as peers
from transfer import run as transfer

ROOT = Path(__file__).resolve().parent.parent
MODELS = ROOT / "models"
COMPRESSION = ROOT / "benchmarks" / "compression"
PAGES = tuple(
    ROOT / name
    for name in (
        "README.md",
        "models/ghostdepth-m/README.md",
        "models/ghostdepth-s/README.md",
        "models/ghostdepth-nano/README.md",
        "docs/compression/README.md",
        "benchmarks/README.md",
        "benchmarks/instructions/README.md",
        "benchmarks/latency/README.md",
        "docs/latency.md",
        "docs/models.md",
        "docs/depth.md",
        "docs/attention.md",
        "docs/compression/distil.md",
        "docs/compression/teachers.md",
        "docs/pretraining.md",
        "docs/papers.md",
        "docs/stream.md",
        "docs/compression/sparse.md",
        "docs/compression/adder.md",
    )
)
_TABLE = re.compile(r"(<!-- table ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def release_files() -> str:
    """The fastest file of each model, the leading one's first, and that model's other files."""
    listed = read_catalogue()
    best = listed.leading
    others = [model.files[0] for model in listed.models if model is not best]
    rows = [_file_row(file) for file in (best.files[0], *others, *best.files[1:])]
    constant = _json(MODELS / best.name / "metrics.json")["constant_map"]
    rows.append(["constant map (to beat)", "", *_figures(**constant), ""])
    table = markdown_table(["file", "Pi 4 ms", "RMSE m", "si-RMSE", "delta_1", "MB"], rows)
    note = (
        f"Milliseconds, with their error band: {listed.latency}; a file without any does not run "
        f"in it, or was not counted. Accuracy: {listed.accuracy}."
    )
    return f"{table}\n\n{note}"


def _file_row(file: ReleasedFile) -> list[str]:
    ms = ""
    if file.pi4_ms is not None:
        predicted, low, high = file.pi4_ms
        ms = f"{predicted:.1f} ({low:.1f} to {high:.1f})"
    figures = _figures(file.rmse, file.si_rmse, file.delta_1)
    return [file.file, ms, *figures, f"{file.bytes / 1e6:.1f}"]


def _figures(rmse: float, si_rmse: float, delta_1: float, **_: float) -> list[str]:
    return [f"{rmse:.3f}", f"{si_rmse:.4f}", f"{delta_1:.3f}"]


def release_card(name: str) -> str:
    """What a released network is and reaches."""
    metrics = _json(MODELS / name / "metrics.json")
    network, constant = metrics["validation"], metrics["constant_map"]
    line = (
        f"{metrics['parameters']:,} parameters, {metrics['macs'] / 1e6:.0f} M "
        f"multiply-accumulates, {metrics['epochs']} epochs on {metrics['training_images']} pairs."
    )
    rows = (
        [label, *(f"{row[k]:.4f}" for k in constant)]
        for label, row in ((Path(name).name, network), ("constant map (to beat)", constant))
    )
    heads = ["", "RMSE m", "si-RMSE", "log10", "REL", "delta_1", "delta_2", "delta_3"]
    return f"{line}\n\n{markdown_table(heads, rows)}"


def released_models() -> str:
    """The catalogue: every released model, the best file of each."""
    listed, rows = read_catalogue(), []
    packaged = [each for each in listed.models if (PACKAGED / each.files[0].file).is_file()]
    notes = {most_accurate(packaged).name: "the package's default"}
    notes[listed.leading.name] = "the default"
    for model in listed.models:
        file = model.files[0]
        assert file.pi4_ms is not None
        _, ms, rmse, _, delta_1, size = _file_row(file)
        link = f"[{model.name}](../models/{model.name}/README.md)"
        cameras, note = f"{model.cameras_si_rmse:.3f}", notes.get(model.name, "")
        rows.append([link, ms, rmse, delta_1, cameras, size, note])
    text = (
        f"Milliseconds: {listed.latency}. RMSE and delta_1 of the int8 file: {listed.accuracy}. "
        "cameras: its mean si-RMSE in the table below."
    )
    heads = ["model", "Pi 4 ms, int8", "RMSE m", "delta_1", "cameras", "MB", ""]
    return f"{markdown_table(heads, rows, (0, 6))}\n\n{text}"


def conditions() -> str:
    """The released networks on changed pictures."""
    found = csv_rows(ROOT / "benchmarks" / "transfer" / "conditions.csv")
    rows = {(row["network"], row["condition"]): row for row in found}
    names = [folder.name for folder in transfer.released()]
    lines = [
        [each, *(transfer.cell(rows[name, each]) for name in names)]
        for each in dict.fromkeys(row["condition"] for row in found)
    ]
    return markdown_table(["si-RMSE / delta_1 / log bias", *names], lines)


def teachers() -> str:
    """Teachers, single networks and means, on every set, in the order of their file."""
    found = csv_rows(ROOT / "benchmarks" / "transfer" / "teachers.csv")
    rows = {(row["teacher"], row["set"]): row for row in found}
    sets = sorted({row["set"] for row in found})

    def cell(row: dict[str, str]) -> str:
        si, rmse, delta = (float(row[key]) for key in ("si_rmse", "rmse", "delta_1"))
        return f"{si:.3f} / {rmse:.3f} / {delta:.3f} / {float(row['log_bias']):+.2f}"

    lines = [
        [name, *(cell(rows[name, where]) for where in sets)]
        for name in dict.fromkeys(row["teacher"] for row in found)
    ]
    return markdown_table(["si-RMSE / RMSE m / delta_1 / log bias", *sets], lines)


def speed() -> str:
    """The ratios of the committed benchmarks."""
    rows = []
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        value = _json(path)
        if "ratio" in value:
            rows.append([path.stem, f"{value['ratio']:.3f}", value["target"]])
    return markdown_table(["benchmark", "measured", "target"], rows)


def adder_cost() -> str:
    """What adders composed of TFLite's ops cost, as multiples of the convolution's time."""
    value = _json(COMPRESSION / "adder_cost.json")
    kinds = [part["composition"] for part in value["rows"][0]["compositions"]]
    heads = ["pointwise layer", "convolution µs", "in int8", *kinds, "largest tensor MB"]
    rows = []
    for row in value["rows"]:
        ratios = [f"{part['ratio']:.1f}" for part in row["compositions"]]
        largest = " / ".join(f"{p['largest_tensor_bytes'] / 1e6:.2f}" for p in row["compositions"])
        plain = [f"{row['conv_ms'] * 1e3:.1f}", f"{row['conv_int8_ratio']:.2f}"]
        rows.append([row["layer"], *plain, *ratios, largest])
    return f"{markdown_table(heads, rows)}\n\n{value['machine']['cpu']}, one thread, not a Pi."


def adder_digits() -> str:
    """Accuracy on scikit-learn's digits."""
    value = _json(COMPRESSION / "adder_digits.json")
    rows = []
    for row in value["rows"]:
        runs = row["accuracy"]
        figures = (sum(runs) / len(runs), min(runs), max(runs))
        rows.append([row["kind"], *(f"{x:.3f}" for x in figures)])
    table = markdown_table(["three middle layers", "accuracy, mean", "lowest", "highest"], rows)
    seeds, pictures = len(value["rows"][0]["accuracy"]), value["test_pictures"]
    return f"{table}\n\n{pictures} test pictures, {value['epochs']} epochs, {seeds} seeds."


TABLES: dict[str, Callable[[], str]] = {
    "release-files": release_files,
    "released-models": released_models,
    "card-s": lambda: release_card("ghostdepth-s"),
    "card-nano": lambda: release_card("ghostdepth-nano"),
    "card-m": lambda: release_card("ghostdepth-m"),
    "compression-summary": measure.summary,
    "compression": measure.table,
    "distillation": measure.seeds_table,
    "transfer": transfer.table,
    "conditions": conditions,
    "teachers": teachers,
    "speed": speed,
    "papers": summary.table,
    "pretraining": pretraining.table,
    "soak": soak.table,
    "stream": stream_table.table,
    "attention": blocks.table,
    "stream-costs": blocks.stream_costs,
    "sharpness": sharpness.table,
    "sharpened": sharpness.sharpened_table,
    "peers": peers.table,
    "instructions": instructions.table,
    "runtimes": runtime_instructions.table,
    "other-runtimes": other_runtimes.table,
    "threads": thread_instructions.table,
    "latency-forms": latency.forms_table,
    "latency-families": latency.families_table,
    "latency-released": latency.released_table,
    "latency-coefficients": latency.coefficients_table,
    "latency-boards": latency.boards_table,
    "latency-limits": latency.limits_table,
    "latency-board-errors": latency.board_errors_table,
    "latency-runtimes": latency.runtimes_table,
    "latency-runtime-errors": latency.runtime_errors_table,
    "latency-runtime-rows": latency.runtime_rows_table,
    "latency-ranking": latency.ranking_table,
    "digits": lambda: digits.table(digits.read()),
    "adder-cost": adder_cost,
    "adder-digits": adder_digits,
}


def rebuilt(text: str) -> str:
    """A page with its tables made anew."""
    return _TABLE.sub(lambda m: f"{m[1]}{TABLES[m[2]]()}\n{m[3]}", text)


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def main(check: bool) -> int:
    """Rebuilds or checks every page."""
    stale = []
    for page in PAGES:
        text = page.read_text()
        if rebuilt(text) != text:
            stale.append(page)
            if not check:
                write_bytes(page, rebuilt(text).encode())
    for page in stale:
        state = "is stale: run python benchmarks/tables.py" if check else "rebuilt"
        print(f"{page.relative_to(ROOT)} {state}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true")
    sys.exit(main(parser.parse_args().check))
