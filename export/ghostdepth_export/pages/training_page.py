"""The page of a training run: its curves, and photos whose depth gets sharper with the epochs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bench_depth.core.dataset import Pair, read_pair
from bench_depth.core.errors import UserError
from bench_depth.core.files import read_object, write_bytes, write_json
from bench_depth.core.jsonable import build
from bench_depth.report.html import svg
from bench_depth.report.html.pictures import depth_picture, depth_range, photo_picture
from bench_depth.report.html.templating import render_page
from ghostdepth_export.convert.source import evenly
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.evaluate import predict_mm
from ghostdepth_train.trainer import Trainer

PAGE, PICTURES = "report.html", "report-pictures.json"
_PHOTOS, _MOST_COLUMNS, _PICTURE_WIDTH = 3, 8, 200
_WIDTH, _HEIGHT = 420, 190
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 24
# More epochs than this are a line without dots.
_MOST_DOTS = 30
# Column of the log -> its title, and the better of two values where one is better.
_CURVES: Mapping[str, tuple[str, Callable[[Sequence[float]], float] | None]] = {
    "loss": ("Training loss", None),
    "si_rmse": ("si-RMSE, validation", min),
    "rmse": ("RMSE, validation, metres", min),
    "delta_1": ("δ₁, validation", max),
    "learning_rate": ("Learning rate", None),
}


@dataclass
class DepthHistory:
    """Depth maps of the photos after some of the validations.

    Attributes:
        names: Names of the photos.
        epochs: Epoch of each validation -> the depth map of each photo as a data URI.
    """

    names: list[str]
    epochs: dict[str, list[str]] = field(default_factory=dict)

    def add(self, epoch: int, pictures: Sequence[str], validated: Sequence[int]) -> None:
        """Adds a validation and leaves out others, so that the rest are evenly spread.

        Args:
            epoch: Epoch of the validation.
            pictures: The depth map of each photo.
            validated: Epochs of all validations of this run; pictures of others are left out.
        """
        self.epochs[str(epoch)] = list(pictures)
        kept = sorted({int(each) for each in self.epochs} & set(validated))
        while len(kept) > _MOST_COLUMNS:
            gaps = [after - before for before, after in zip(kept, kept[2:], strict=False)]
            del kept[1 + gaps.index(min(gaps))]
        self.epochs = {str(each): self.epochs[str(each)] for each in kept}


class TrainingPage:
    """Rewrites `RUN/report.html` after each validation; called with each epoch's row of the log.

    The pictures of earlier validations are in `RUN/report-pictures.json`, so that a resumed run
    continues the page. Where it cannot be written, that is logged once and the training continues.

    Args:
        trainer: The run.
        log: Called once with where the page is, or with the warning.
    """

    def __init__(self, trainer: Trainer, log: Callable[[str], None]) -> None:
        self._trainer, self._log = trainer, log
        self._logged = False

    def __call__(self, row: dict[str, float]) -> None:
        """Writes the page where the epoch was validated."""
        if "si_rmse" not in row:
            return
        try:
            self._write()
            line = f"page of the training: {self._trainer.options.out / PAGE}"
        except (UserError, OSError, ValueError) as error:
            line = f"warning: the page of the run is not written: {error}"
        if not self._logged:
            self._log(line)
        self._logged = True

    def _write(self) -> None:
        trainer, out = self._trainer, self._trainer.options.out
        pairs = evenly(trainer.split.val, _PHOTOS)
        kept = _read_pictures(out / PICTURES, [pair.name for pair in pairs])
        validated = [int(row["epoch"]) for row in trainer.history if "si_rmse" in row]
        photos, maps = _photos(pairs, out / "last")
        kept.add(validated[-1], maps, validated)
        write_json(out / PICTURES, asdict(kept))
        page = render(trainer.options.name, trainer.history, trainer.config.epochs, photos, kept)
        write_bytes(out / PAGE, page.encode())


def render(
    name: str,
    history: Sequence[Mapping[str, float]],
    epochs: int,
    photos: Sequence[tuple[str, str]],
    pictures: DepthHistory,
) -> str:
    """The page's HTML.

    Args:
        name: Name of the checkpoint.
        history: The log, one row an epoch; the last one is validated.
        epochs: Number of epochs of the whole run.
        photos: Each photo and its ground truth as data URIs.
        pictures: Depth maps of these photos.
    """
    best = min((row for row in history if "si_rmse" in row), key=lambda row: row["si_rmse"])
    names = [key for key in _CURVES if any(key in row for row in history)]
    return render_page(
        "ghostdepth_export.pages",
        "training.html.j2",
        name=name,
        last=history[-1],
        best=best,
        epochs=epochs,
        curves=[(_CURVES[key][0], curve(history, key, epochs)) for key in names],
        photos=list(zip(pictures.names, photos, strict=True)),
        pictures=pictures.epochs,
    )


def curve(history: Sequence[Mapping[str, float]], key: str, epochs: int) -> str:
    """One column of the log over the epochs, from 0 on, as SVG.

    Args:
        history: The log, one row an epoch.
        key: A column; rows without it are left out.
        epochs: Number of epochs of the whole run, the end of the axis.
    """
    title, better = _CURVES[key]
    points = [(row["epoch"], row[key]) for row in history if key in row]
    values = [value for _, value in points]
    x = svg.ChartAxis(0, max(epochs, *(epoch for epoch, _ in points)), _LEFT, _WIDTH - _RIGHT)
    top = 1.0 if key == "delta_1" else max(values) * 1.1
    y = svg.ChartAxis(min(0.0, *values), max(top, 1e-9), _HEIGHT - _BOTTOM, _TOP)
    parts = []
    for value in y.ticks():
        parts.append(svg.line((_LEFT, y(value)), (_WIDTH - _RIGHT, y(value)), "grid"))
        parts.append(svg.text(_LEFT - 6, y(value) + 4, f"{value:g}", "tick end"))
    whole = [tick for tick in x.ticks() if tick.is_integer()]
    parts += [svg.text(x(tick), _HEIGHT - 6, f"{tick:g}", "tick mid") for tick in whole]
    places = [(x(epoch), y(value)) for epoch, value in points]
    parts.append(svg.polyline(places, "curve"))
    if len(places) <= _MOST_DOTS:
        parts += [svg.tag("circle", class_="mean", cx=a, cy=b, r=3) for a, b in places]
    if better is not None:
        a, b = places[values.index(better(values))]
        parts.append(svg.tag("circle", class_="mark series-2", cx=a, cy=b, r=6))
    return svg.picture(parts, _WIDTH, _HEIGHT, f"{title}: {values[-1]:.4g} at the last epoch")


def _photos(pairs: Sequence[Pair], checkpoint: Path) -> tuple[list[tuple[str, str]], list[str]]:
    """Each photo with its ground truth, and its depth by a checkpoint, as data URIs."""
    # A new network draws its first weights: the training's generator must not notice.
    with torch.random.fork_rng():
        network = load_checkpoint(checkpoint).network.eval()
    photos, maps = [], []
    for pair in pairs:
        photo, truth_mm = read_pair(pair)
        truth = np.asarray(truth_mm / 1000, np.float32)
        ends = depth_range(truth)
        depth = np.asarray(predict_mm(network, photo) / 1000, np.float32)
        picture = photo_picture(photo, _PICTURE_WIDTH)
        photos.append((picture, depth_picture(truth, *ends, _PICTURE_WIDTH)))
        maps.append(depth_picture(depth, *ends, _PICTURE_WIDTH))
    return photos, maps


def _read_pictures(path: Path, names: list[str]) -> DepthHistory:
    """The pictures of a run that is resumed; none where there are none of these photos."""
    if not path.is_file():
        return DepthHistory(names)
    kept: Any = build(DepthHistory, read_object(path))
    return kept if kept.names == names else DepthHistory(names)
