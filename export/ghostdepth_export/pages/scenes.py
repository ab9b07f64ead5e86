"""Reads the photos and depth maps that the demo's page shows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench_depth.core.dataset import list_pairs, read_depth, read_pair
from bench_depth.core.errors import UserError
from bench_depth.report.html.pictures import Scene, make_scene
from bench_depth.report.wording import short_names
from bench_depth.results.records import ModelRecord, Results


def read_scenes(
    samples: Path, names: Sequence[str], predictions: Sequence[Path], results: Results
) -> list[Scene]:
    """Reads photos, ground truth and predicted depth maps.

    Args:
        samples: The dataset folder.
        names: Names of the photos to show.
        predictions: Folders of predicted maps, NAME.png each; a folder is called as its model.
        results: Results that hold these models; the error is shown of the last folder's model.

    Raises:
        UserError: A name is not in `samples`, or a file cannot be read.
    """
    pairs = {pair.name: pair for pair in list_pairs(samples)}
    titles = dict(zip((r.file for r in results.models), short_names(results), strict=True))
    records = {record.file: record for record in results.models}
    scenes = []
    for name in names:
        if name not in pairs:
            raise UserError(f"{samples} has no photo called {name}; it is needed for the page")
        photo, ground_truth = read_pair(pairs[name])
        depths = [
            (
                titles[folder.name],
                read_depth(folder / f"{name}.png"),
                _si_rmse(records[folder.name], name),
            )
            for folder in predictions
        ]
        scenes.append(make_scene(name.replace("_", " "), photo, ground_truth, depths))
    return scenes


def _si_rmse(record: ModelRecord, name: str) -> str:
    images = record.accuracy.images if record.accuracy is not None else []
    for image in images:
        if image.name == name:
            return f"si-RMSE {image.metrics.si_rmse:.3f}"
    return "no ground truth"
