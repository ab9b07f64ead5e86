"""The figures of a soak: what was tried of each class, as a CSV file and as a table."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench_depth.core.files import write_bytes
from ghostdepth_train.csv_files import csv_bytes, csv_rows, markdown_table

RESULTS = Path(__file__).with_name("results.csv")


@dataclass
class Tally:
    """What was tried of a class.

    Attributes:
        tried: Number of attempts that ended.
        seconds: Wall time of the attempts.
        faults: (seed, description) of each fault.
        next_seed: Seed of the next attempt.
    """

    tried: int = 0
    seconds: float = 0.0
    faults: list[tuple[int, str]] = field(default_factory=list)
    next_seed: int = 0


def write_results(tallies: dict[str, Tally], first: int, path: Path) -> None:
    """Writes a row per class; those of the other classes stay.

    Of each class: attempts, clean ones, faults, and the first and last seed.
    """
    rows: dict[str, dict[str, object]] = {row["class"]: {**row} for row in csv_rows(path)}
    for name, tally in tallies.items():
        faults = len(tally.faults)
        rows[name] = {
            "class": name,
            "tried": tally.tried,
            "clean": tally.tried - faults,
            "faults": faults,
            "first_seed": first,
            "last_seed": max(first, tally.next_seed - 1),
        }
    write_bytes(path, csv_bytes(list(rows.values())))


def table() -> str:
    """The committed figures as Markdown."""
    rows = csv_rows(RESULTS)
    figures = ("tried", "clean", "faults")
    lines = [
        [row["class"], *(row[key] for key in figures), f"{row['first_seed']} to {row['last_seed']}"]
        for row in rows
    ]
    sums = [str(sum(int(row[key]) for row in rows)) for key in figures]
    return markdown_table(["class", *figures, "seeds"], [*lines, ["all", *sums, ""]], (0, 4))
