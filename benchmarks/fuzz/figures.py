"""The figures of a soak: what was tried of each class, as a CSV file and as a table."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path

from ghostdepth_train.csv_files import markdown_table

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
    """Writes a row per class: attempts, clean ones, faults, and the first and last seed."""
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("class", "tried", "clean", "faults", "first_seed", "last_seed"))
        for name, tally in tallies.items():
            faults = len(tally.faults)
            last = max(first, tally.next_seed - 1)
            writer.writerow((name, tally.tried, tally.tried - faults, faults, first, last))


def table() -> str:
    """The committed figures as Markdown."""
    with RESULTS.open() as stream:
        rows = list(csv.DictReader(stream))
    figures = ("tried", "clean", "faults")
    lines = [
        [row["class"], *(row[key] for key in figures), f"{row['first_seed']} to {row['last_seed']}"]
        for row in rows
    ]
    sums = [str(sum(int(row[key]) for row in rows)) for key in figures]
    return markdown_table(["class", *figures, "seeds"], [*lines, ["all", *sums, ""]], (0, 4))
