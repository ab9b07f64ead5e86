"""The Pareto front of a search: networks that no other one dominates in latency and accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from bench_depth.core.files import write_bytes
from ghostdepth_train.config import NetworkConfig, TrainConfig
from ghostdepth_train.csv_files import csv_bytes
from ghostdepth_train.pruning.latency import LatencyBudget
from pydantic import FiniteFloat, NonNegativeInt
from pydantic.dataclasses import dataclass

if TYPE_CHECKING:
    from optuna import Study

# Width and height in pixels: for a screen, and for a phone.
_PLOT_SIZES = ((760, 400), (340, 340))


@dataclass(frozen=True)
class TrainedNetwork:
    """A network that was trained in a search.

    Attributes:
        trial: Number of the trial in the study.
        choices: Value of each field of the search space.
        ms: Predicted latency in milliseconds.
        si_rmse: Scale-invariant RMSE on the validation set after the short training.
        macs: Number of multiply-accumulate operations of one inference.
        parameters: Number of trainable parameters.
        network: The network's config, as JSON values.
        front: Whether the network is on the Pareto front.
    """

    trial: int
    choices: dict[str, Any]
    ms: FiniteFloat
    si_rmse: FiniteFloat
    macs: NonNegativeInt
    parameters: NonNegativeInt
    network: dict[str, Any]
    front: bool

    def row(self) -> dict[str, Any]:
        """The figures as one row of a table."""
        figures = {"ms": f"{self.ms:.3f}", "si_rmse": f"{self.si_rmse:.5f}"}
        sizes = {"macs": self.macs, "parameters": self.parameters}
        return {"trial": self.trial, **figures, **sizes, **self.choices}


def trained_networks(study: Study) -> list[TrainedNetwork]:
    """Lists the networks of all completed trials, fastest first, each network once.

    Raises:
        Exception: A trial is damaged: of any kind, see `open_study`, which refuses such studies.
    """
    from optuna.trial import TrialState

    trials = {
        tuple(sorted(trial.params.items())): trial
        for trial in reversed(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    }.values()
    points = [(float(ms), float(error)) for ms, error in (trial.values for trial in trials)]
    rows = [
        TrainedNetwork(
            trial=trial.number,
            choices=dict(trial.params),
            ms=point[0],
            si_rmse=point[1],
            **{key: trial.user_attrs[key] for key in ("macs", "parameters", "network")},
            front=not any(dominates(other, point) for other in points),
        )
        for trial, point in zip(trials, points, strict=True)
    ]
    for row in rows:
        NetworkConfig.model_validate(row.network)
    return sorted(rows, key=lambda row: (row.ms, row.si_rmse))


def dominates(a: tuple[float, float], b: tuple[float, float]) -> bool:
    """Whether `a` Pareto-dominates `b`: no value is larger and at least one is smaller."""
    return a != b and all(x <= y for x, y in zip(a, b, strict=True))


def write_front(out: Path, rows: Sequence[TrainedNetwork], base: TrainConfig) -> list[Path]:
    """Writes `front.csv`, `trained.csv` and a config for each network of the front.

    Args:
        out: Output folder, created if missing.
        rows: The trained networks, as `trained_networks` gives them.
        base: Config whose training settings are written for the networks of the front.

    Returns:
        Paths of the configs, fastest first: YAML files that `ghostdepth train --config` takes.
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


def write_page(target: Path, rows: Sequence[TrainedNetwork], budget: LatencyBudget) -> None:
    """Writes the page: a plot and the front as a table.

    Args:
        target: The HTML file.
        rows: The trained networks, as `trained_networks` gives them; at least one.
        budget: Latency budget of the search.
    """
    from bench_depth.report.html.templating import render_page

    page = render_page(
        "ghostdepth_export.pages",
        "search.html.j2",
        rows=[row for row in rows if row.front],
        trained=len(rows),
        budget=budget,
        plots=[_plot(rows, budget.ms, size) for size in _PLOT_SIZES],
    )
    write_bytes(target, page.encode())


def _plot(rows: Sequence[TrainedNetwork], budget: float, size: tuple[int, int]) -> str:
    from bench_depth.report.html.plot import Mark, scatter

    marks = [
        Mark(row.ms, row.si_rmse, str(row.trial), radius=5)
        if row.front
        else Mark(row.ms, row.si_rmse, kind="faint")
        for row in rows
    ]
    times, errors = [row.ms for row in rows] + [budget], [row.si_rmse for row in rows]
    return scatter(
        marks,
        _padded(min(times), max(times)),
        _padded(min(errors), max(errors)),
        ("predicted latency, ms", "si-RMSE after a short training"),
        size,
        steps=[(row.ms, row.si_rmse) for row in rows if row.front],
        limit=budget,
    )


def _padded(low: float, high: float) -> tuple[float, float]:
    """A range with room at its ends."""
    margin = 0.08 * (high - low) or 0.01 * abs(high) or 0.01
    return low - margin, high + margin
