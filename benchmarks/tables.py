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

from bench_depth.core.files import write_bytes
from bench_depth.model.released import ReleasedFile, read_catalogue

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
        "models/ghostdepth-xs/README.md",
        "models/ghostdepth-xxs/README.md",
        "docs/compression/README.md",
        "benchmarks/README.md",
        "benchmarks/instructions/README.md",
        "benchmarks/latency/README.md",
        "docs/latency.md",
        "docs/models.md",
        "docs/depth.md",
        "docs/compression/distil.md",
        "docs/pretraining.md",
        "docs/stream.md",
        "docs/compression/sparse.md",
        "docs/compression/adder.md",
    )
)
_TABLE = re.compile(r"(<!-- table ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def release_files() -> str:
    """The files of the model that README shows first, and the int8 files of the others."""
    listed = read_catalogue()
    (best,) = [model for model in listed.models if model.name == listed.default]
    kept = [model for model in listed.models if model.dominated_by is None]
    rows = [
        "| file | Pi 4 ms | RMSE m | si-RMSE | delta_1 | MB |",
        "|---|--:|--:|--:|--:|--:|",
        *(_file_row(file) for file in best.files),
    ]
    rows += [_file_row(model.files[0]) for model in kept if model is not best]
    constant = _json(MODELS / best.name / "metrics.json")["constant_map"]
    figures = f"{constant['rmse']:.3f} | {constant['si_rmse']:.4f} | {constant['delta_1']:.3f}"
    rows += [
        f"| constant map (to beat) | | {figures} | |",
        "",
        f"Milliseconds, with their error band: {listed.latency}. Accuracy: {listed.accuracy}.",
    ]
    return "\n".join(rows)


def _file_row(file: ReleasedFile) -> str:
    ms = ""
    if file.pi4_ms is not None:
        predicted, low, high = file.pi4_ms
        ms = f"{predicted:.1f} ({low:.1f} to {high:.1f})"
    figures = f"{file.rmse:.3f} | {file.si_rmse:.4f} | {file.delta_1:.3f}"
    return f"| {file.file} | {ms} | {figures} | {file.bytes / 1e6:.1f} |"


def release_card(name: str) -> str:
    """What a released network is and reaches."""
    metrics = _json(MODELS / name / "metrics.json")
    network, constant = metrics["validation"], metrics["constant_map"]
    rows = [
        f"{metrics['parameters']:,} parameters, {metrics['macs'] / 1e6:.0f} M "
        f"multiply-accumulates, {metrics['epochs']} epochs on {metrics['training_images']} pairs.",
        "",
        "| | RMSE m | si-RMSE | log10 | REL | delta_1 | delta_2 | delta_3 |",
        "|---|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for label, row in ((Path(name).name, network), ("constant map (to beat)", constant)):
        numbers = " | ".join(f"{row[k]:.4f}" for k in constant)
        rows.append(f"| {label} | {numbers} |")
    return "\n".join(rows)


def released_models() -> str:
    """The catalogue: every released model, the best file of each."""
    rows = [
        "| model | Pi 4 ms, int8 | RMSE m | delta_1 | cameras | MB | |",
        "|---|--:|--:|--:|--:|--:|---|",
    ]
    listed = read_catalogue()
    for model in listed.models:
        file = model.files[0]
        assert file.pi4_ms is not None
        ms, low, high = file.pi4_ms
        note = "the default" if model.name == listed.default else ""
        if model.dominated_by is not None:
            note = f"dominated by {model.dominated_by}; `make models`"
        rows.append(
            f"| [{model.name}](../models/{model.name}/README.md) "
            f"| {ms:.1f} ({low:.1f} to {high:.1f}) "
            f"| {file.rmse:.3f} | {file.delta_1:.3f} | {model.cameras_si_rmse:.3f} "
            f"| {file.bytes / 1e6:.1f} | {note} |"
        )
    notes = (
        f"Milliseconds: {listed.latency}. RMSE and delta_1 of the int8 file: {listed.accuracy}. "
        "cameras: mean si-RMSE of the table below."
    )
    return "\n".join([*rows, "", notes])


def transfer() -> str:
    """How well the released networks see what they were not trained on."""
    from transfer.run import table

    return table()


def speed() -> str:
    """The ratios of the committed benchmarks."""
    rows = ["| benchmark | measured | target |", "|---|--:|--:|"]
    for path in sorted((ROOT / "benchmarks" / "results").glob("*.json")):
        value = _json(path)
        if "ratio" in value:
            rows.append(f"| {path.stem} | {value['ratio']:.3f} | {value['target']} |")
    return "\n".join(rows)


def sharpness() -> str:
    """Depth-boundary errors and edge energy of the released networks."""
    from sharpness import table

    return table()


def sharpened() -> str:
    """What `--sharpen` changes."""
    from sharpness import sharpened_table

    return sharpened_table()


def peers() -> str:
    """Networks of other authors beside ours."""
    from peers.table import table

    return table()


def pretraining() -> str:
    """Networks with a pretrained encoder beside those without."""
    from papers.pretraining import table

    return table()


def stream() -> str:
    """Networks with a state beside those without, and beside a filter."""
    from papers.stream import table

    return table()


def soak() -> str:
    """What was tried of each class, and what was not clean."""
    from fuzz.figures import table

    return table()


def instructions() -> str:
    """Counts of the released files on an emulated Pi."""
    from instructions.baseline import table

    return table()


def runtime_instructions() -> str:
    """Counts of the released files in each runtime."""
    from instructions.runtimes import table

    return table()


def other_runtimes() -> str:
    """Counts of the released files in libraries that bench-depth does not run, beside LiteRT."""
    from instructions.others import table

    return table()


def predicted(name: str) -> str:
    """What predictions of milliseconds are fitted to, and how good they are."""
    from latency import table

    return str(getattr(table, f"{name.replace('-', '_')}_table")())


def compression() -> str:
    """Every compressed network against the dense one."""
    from compression.measure import table

    return table()


def compression_summary() -> str:
    """What the best recipes give."""
    from compression.measure import summary

    return summary()


def distillation() -> str:
    """Runs that differ in what teaches, over several seeds."""
    from compression.measure import seeds_table

    return seeds_table()


def digits() -> str:
    """SNIP and lottery tickets on a small task."""
    from compression.digits import read, table

    return table(read())


def adder_cost() -> str:
    """What adders composed of TFLite's ops cost, as multiples of the convolution's time."""
    value = _json(COMPRESSION / "adder_cost.json")
    kinds = [part["composition"] for part in value["rows"][0]["compositions"]]
    rows = [
        f"| pointwise layer | convolution µs | in int8 | {' | '.join(kinds)} | largest tensor MB |",
        "|---|--:|--:|" + "--:|" * (len(kinds) + 1),
    ]
    for row in value["rows"]:
        ratios = " | ".join(f"{part['ratio']:.1f}" for part in row["compositions"])
        largest = " / ".join(f"{p['largest_tensor_bytes'] / 1e6:.2f}" for p in row["compositions"])
        rows.append(
            f"| {row['layer']} | {row['conv_ms'] * 1e3:.1f} | {row['conv_int8_ratio']:.2f} "
            f"| {ratios} | {largest} |"
        )
    return "\n".join([*rows, "", f"{value['machine']['cpu']}, one thread, not a Pi."])


def adder_digits() -> str:
    """Accuracy on scikit-learn's digits."""
    value = _json(COMPRESSION / "adder_digits.json")
    rows = ["| three middle layers | accuracy, mean | lowest | highest |", "|---|--:|--:|--:|"]
    for row in value["rows"]:
        runs = row["accuracy"]
        figures = (sum(runs) / len(runs), min(runs), max(runs))
        rows.append(f"| {row['kind']} | " + " | ".join(f"{x:.3f}" for x in figures) + " |")
    seeds, pictures = len(value["rows"][0]["accuracy"]), value["test_pictures"]
    return "\n".join(
        [*rows, "", f"{pictures} test pictures, {value['epochs']} epochs, {seeds} seeds."]
    )


TABLES: dict[str, Callable[[], str]] = {
    "release-files": release_files,
    "released-models": released_models,
    "card-s": lambda: release_card("ghostdepth-s"),
    "card-nano": lambda: release_card("ghostdepth-nano"),
    "card-m": lambda: release_card("ghostdepth-m"),
    "card-xs": lambda: release_card("ghostdepth-xs"),
    "card-xxs": lambda: release_card("ghostdepth-xxs"),
    "compression-summary": compression_summary,
    "compression": compression,
    "distillation": distillation,
    "transfer": transfer,
    "speed": speed,
    "pretraining": pretraining,
    "soak": soak,
    "stream": stream,
    "sharpness": sharpness,
    "sharpened": sharpened,
    "peers": peers,
    "instructions": instructions,
    "runtimes": runtime_instructions,
    "other-runtimes": other_runtimes,
    "latency-forms": lambda: predicted("forms"),
    "latency-families": lambda: predicted("families"),
    "latency-released": lambda: predicted("released"),
    "latency-coefficients": lambda: predicted("coefficients"),
    "latency-boards": lambda: predicted("boards"),
    "latency-board-errors": lambda: predicted("board-errors"),
    "latency-runtimes": lambda: predicted("runtimes"),
    "latency-runtime-errors": lambda: predicted("runtime-errors"),
    "latency-runtime-rows": lambda: predicted("runtime-rows"),
    "digits": digits,
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
