"""What a search has found: the networks that no other one beats in both time and accuracy."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from bench_depth.core.files import write_bytes
from ghostdepth_train.config import TrainConfig
from ghostdepth_train.trainer import csv_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.transforms import Bbox
    from optuna import Study

# Inches; one for a screen, one for a phone.
_PLOT_SIZES = ((10.5, 5.5), (4.7, 4.7))


@dataclass(frozen=True)
class Found:
    """A network that was trained in a search.

    Attributes:
        trial: The trial's number.
        choices: What it chose.
        ms: Predicted.
        si_rmse: After the short training.
        macs: Multiply-accumulates.
        parameters: Trainable numbers.
        network: Its config, as JSON values.
        front: Whether no other one is as fast and as accurate.
    """

    trial: int
    choices: dict[str, Any]
    ms: float
    si_rmse: float
    macs: int
    parameters: int
    network: dict[str, Any]
    front: bool

    def row(self) -> dict[str, Any]:
        """As a line of a table."""
        figures = {"ms": f"{self.ms:.3f}", "si_rmse": f"{self.si_rmse:.5f}"}
        sizes = {"macs": self.macs, "parameters": self.parameters}
        return {"trial": self.trial, **figures, **sizes, **self.choices}


def found(study: Study) -> list[Found]:
    """The trained networks, fastest first; each network once."""
    from optuna.trial import TrialState

    trials = {
        tuple(sorted(trial.params.items())): trial
        for trial in reversed(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    }.values()
    points = [(float(ms), float(error)) for ms, error in (trial.values for trial in trials)]
    rows = [
        Found(
            trial=trial.number,
            choices=dict(trial.params),
            ms=point[0],
            si_rmse=point[1],
            **{key: trial.user_attrs[key] for key in ("macs", "parameters", "network")},
            front=not any(beats(other, point) for other in points),
        )
        for trial, point in zip(trials, points, strict=True)
    ]
    return sorted(rows, key=lambda row: (row.ms, row.si_rmse))


def beats(a: tuple[float, float], b: tuple[float, float]) -> bool:
    """Whether `a` is nowhere worse than `b` and somewhere better; less is better."""
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def write_front(out: Path, rows: Sequence[Found], base: TrainConfig) -> list[Path]:
    """Writes `front.csv`, `trained.csv` and a config for each network of the front.

    Args:
        out: Folder; made where missing.
        rows: Of `found`.
        base: How a network of the front is to be trained in full.

    Returns:
        The configs, fastest first: YAML files that `ghostdepth train --config` takes.
    """
    front = [row for row in rows if row.front]
    write_bytes(out / "front.csv", csv_bytes([row.row() for row in front]))
    write_bytes(out / "trained.csv", csv_bytes([row.row() for row in rows]))
    training = base.model_dump(mode="json", exclude={"network"})
    paths = []
    for row in front:
        paths.append(out / "front" / f"trial-{row.trial:04d}.yaml")
        head = (
            f"# {row.ms:.2f} ms predicted; si-RMSE {row.si_rmse:.4f} after the search's training.\n"
        )
        text = yaml.safe_dump({"network": row.network, **training}, sort_keys=False)
        write_bytes(paths[-1], (head + text).encode())
    return paths


def write_page(target: Path, rows: Sequence[Found], what: str, budget: float) -> None:
    """Writes the page: a plot and the front as a table.

    Args:
        target: The HTML file.
        rows: Of `found`, at least one.
        what: Whose milliseconds these are, like `int8 file with 4 threads`.
        budget: Milliseconds.
    """
    from bench_depth import __version__
    from ghostdepth_export.pages.templating import template

    page = template("search.html.j2").render(
        rows=[row for row in rows if row.front],
        trained=len(rows),
        what=what,
        budget=budget,
        plots=[_plot(rows, budget, *size) for size in _PLOT_SIZES],
        program=f"ghostdepth {__version__}",
    )
    write_bytes(target, page.encode())


def _plot(rows: Sequence[Found], budget: float, width: float, height: float) -> str:
    import matplotlib as mpl
    from ghostdepth_export.pages.plot import FAINT, PAPER, SERIES, SETTINGS, draw_grid, for_page
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    colour = next(iter(SERIES.values()))
    front, others = ([r for r in rows if r.front is own] for own in (True, False))
    with mpl.rc_context({**SETTINGS, "svg.hashsalt": f"search {width}x{height}"}):
        figure = Figure(figsize=(width, height), dpi=72, layout="constrained")
        FigureCanvasAgg(figure)  # SVG's canvas cannot tell how much room a text takes.
        axes = figure.subplots()
        places = [r.ms for r in front], [r.si_rmse for r in front]
        axes.plot(*places, color=colour, drawstyle="steps-post")
        axes.scatter(*places, color=colour, edgecolor=PAPER, s=64, zorder=3, label="front")
        places = [r.ms for r in others], [r.si_rmse for r in others]
        axes.scatter(*places, color=FAINT, s=36, label="others")
        line = axes.axvline(budget, color=FAINT, linewidth=1, linestyle="--", label="budget")
        axes.set_xlabel("predicted milliseconds")
        axes.set_ylabel("si-RMSE after a short training")
        draw_grid(axes)
        figure.legend(loc="outside upper right", ncols=3, frameon=False)
        figure.draw_without_rendering()
        _label(axes, front, others, line.get_window_extent())
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True)
    return for_page(text.getvalue(), f"search-{width:g}-")


def _label(axes: Axes, front: Sequence[Found], others: Sequence[Found], line: Bbox) -> None:
    """Writes the front's trials beside their points, off the other points and all lines."""
    from ghostdepth_export.pages.plot import add_labels
    from matplotlib.transforms import Bbox

    points = [(row.ms, row.si_rmse) for row in (*front, *others)]
    centres = axes.transData.transform(points)
    marks = [Bbox.from_extents(x - 4, y - 4, x + 4, y + 4) for x, y in centres]
    for (x0, y0), (x1, y1) in pairwise(centres[: len(front)]):
        marks += [Bbox.from_extents(x0, y0, x1, y0), Bbox.from_extents(x1, y1, x1, y0)]
    add_labels(axes, [str(row.trial) for row in front], points[: len(front)], [*marks, line])
