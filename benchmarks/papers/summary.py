"""What the papers on attention, sequences and learning from neighbours gave here, as one table.

`benchmarks/tables.py` writes it into docs/papers.md from the committed figures. Each line compares
a part of a paper with its rival, seed by seed; of every figure, lower is better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from compression import measure
from ghostdepth_train.csv_files import csv_rows, markdown_table, mean_and_deviation
from papers import blocks, pretraining, stream_table

ATTENTION, SEQUENCE, NEIGHBOURS = "attention", "sequence to sequence", "word vectors"
# The place of each kind of attention whose mean is lowest stands for the kind.
KINDS = ("softmax", "linear", "DFC")
CELL = "stream, minimal, kernel 3"
FILTER = "filter, keep 0.5"
# Set and figure of the benchmark of streams, and its name in the table.
STREAM_FIGURES = (
    ("still", "flicker", "flicker"),
    ("walk", "temporal_error", "temporal error, walk"),
    ("crops", "si_rmse", "si-RMSE of a frame"),
)
_HEADS = ("paper", "part", "rival", "figure", "rival's", "the part's", "difference", "better in")


@dataclass(frozen=True)
class Comparison:
    """A part of a paper beside its rival.

    Attributes:
        paper: Paper that the part is from.
        part: Name of the part.
        rival: Name of what it is compared with.
        figure: Name of the figure.
        values: The part's figure by seed.
        rivals: The rival's figure by seed.
        latency: Change of the predicted latency by the part, as text.
    """

    paper: str
    part: str
    rival: str
    figure: str
    values: Mapping[str, float]
    rivals: Mapping[str, float]
    latency: str = "none"

    def cells(self) -> list[str]:
        """The comparison as a line of the table, of the seeds that both have."""
        seeds = [seed for seed in self.rivals if seed in self.values]
        both = [(self.values[seed], self.rivals[seed]) for seed in seeds]
        differences = [value - rival for value, rival in both]
        better = sum(difference < 0 for difference in differences)
        return [
            *(self.paper, self.part, self.rival, self.figure),
            mean_and_deviation([rival for _, rival in both]),
            mean_and_deviation([value for value, _ in both]),
            mean_and_deviation(differences, sign="+"),
            f"{better} of {len(seeds)} seeds",
            self.latency,
        ]


def table() -> str:
    """Every comparison as Markdown: mean and deviation over the seeds."""
    lines = [each.cells() for each in (*attention(), *sequence(), *neighbours())]
    return markdown_table([*_HEADS, "latency"], lines, (0, 1, 2, 3))


def attention() -> Iterator[Comparison]:
    """Each kind of attention at its best place, and attention transfer from a teacher."""
    plain = blocks.si_rmse(blocks.PLAIN)
    for kind in KINDS:
        places = {name: blocks.si_rmse(name) for name in blocks.BLOCKS if name.startswith(kind)}
        best = min((name for name in places if places[name]), key=lambda n: _mean(places[n]))
        latency = blocks.latency_change(best, "int8")
        rival = "the network without"
        yield Comparison(ATTENTION, best, rival, "si-RMSE", places[best], plain, latency)
    rows = measure.read_rows()
    transfer, response = (
        {row["seed"]: float(row["si_rmse"]) for row in rows if row["name"] == f"attention-{name}"}
        for name in ("transfer", "none")
    )
    part, rival = "attention transfer", "the teacher's response alone"
    yield Comparison(ATTENTION, part, rival, "si-RMSE", transfer, response)


def sequence() -> Iterator[Comparison]:
    """A state from frame to frame beside none, and beside a filter of the output."""
    latency = blocks.latency_change(CELL, "int8")
    for rival in (stream_table.PLAIN, FILTER):
        for name, figure, text in STREAM_FIGURES:
            values, rivals = (
                stream_table.by_seed(arm, name, figure) for arm in (stream_table.STATE, rival)
            )
            yield Comparison(SEQUENCE, "state", rival, text, values, rivals, latency)


def neighbours() -> Iterator[Comparison]:
    """Each pretraining beside a training from random weights that takes as long."""
    rows = csv_rows(pretraining.RESULTS)
    for column in sorted({pretraining.column(row) for row in rows}):
        own = [row for row in rows if pretraining.column(row) == column]
        plain = pretraining.by_seed(own, pretraining.SCRATCH)
        for arm in pretraining.ARMS[1:]:
            part = f"{arm}, {column[2]:.0%} of the pairs"
            values = pretraining.by_seed(own, arm)
            yield Comparison(NEIGHBOURS, part, "from scratch", "si-RMSE", values, plain)


def _mean(values: Mapping[str, float]) -> float:
    return sum(values.values()) / len(values)
