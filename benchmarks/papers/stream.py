"""Whether a state that is carried from frame to frame pays: figures and a table.

    python benchmarks/papers/stream.py --data DATA --clip CLIP --runs RUNS
        [--init CHECKPOINT] [--config NAME] [--epochs N] [--seeds 0 1 2]

For each seed four networks are trained from the same checkpoint, on the same frames in the same
order, for the same number of optimizer steps: one without a state and one with a `minimal` cell,
each with and without the temporal error in its loss (`clip.temporal`).
The encoder's weights stay as they are; decoder, head and cell are trained. The trivial rival needs
no training: an exponential filter over the output of the first,

    ln F_t = keep ln F_(t-1) + (1 - keep) ln D_t

for each of the constants in `KEEP`; the other networks are measured with a filter after them too,
and the one with a state with it emptied at every frame. All are measured on frames that none was
trained on:

- crops: a window that moves over each pair of DATA/val, with camera noise;
- still: each pair of DATA/val, which stands still, with camera noise;
- walk: the folder CLIP, consecutive frames of a camera, with `poses.txt` (a frame's name and its
  4x4 camera-to-world matrix, row by row, in metres) and `intrinsics_640x480.txt` beside rgb/ and
  depth/.

The first frames of a clip, `RUN_IN`, are not counted: state and filter both start empty. Rows that
are in `stream.csv` are kept: a command that was stopped goes on. The table is of the most epochs.
"""

from __future__ import annotations

import argparse
import itertools
import math
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from bench_depth.accuracy.temporal import (
    Motion,
    camera_motion,
    flicker,
    log_error,
    temporal_error,
)
from bench_depth.core.dataset import Pair, list_pairs, read_pair
from bench_depth.core.errors import UserError, exit_code
from bench_depth.core.files import write_bytes
from bench_depth.core.metrics import depth_metrics, mean_metrics
from bench_depth.core.screen import counted
from ghostdepth_export.host.checkout import find_checkpoint
from ghostdepth_train.checkpoint import load_checkpoint
from ghostdepth_train.config import NetworkConfig, TrainConfig, load_train_config
from ghostdepth_train.csv_files import csv_bytes, csv_rows, markdown_table, mean_and_deviation
from ghostdepth_train.data import read_split
from ghostdepth_train.data.clips import CropPath
from ghostdepth_train.models.network import CameraNet, DepthNet, log_depth
from ghostdepth_train.trainer import RunOptions, Trainer
from numpy.typing import NDArray
from torch import Tensor, nn

RESULTS = Path(__file__).with_name("stream.csv")
PLAIN, STATE, EMPTIED = "without state", "state", "state, emptied at every frame"
KEEP = (0.3, 0.5, 0.7)
FILTERS = {f"filter, keep {keep}": keep for keep in KEEP}
BOTH_KEEP = 0.5
THEN = f"then filter, keep {BOTH_KEEP}"
PLAIN_LOSS, STATE_LOSS = f"{PLAIN}, temporal loss", f"{STATE}, temporal loss"
TRAINED = (PLAIN, STATE, PLAIN_LOSS, STATE_LOSS)
FILTERED_AFTER = {arm: f"{arm}, {THEN}" for arm in TRAINED[1:]}
ARMS = (
    PLAIN,
    *FILTERS,
    STATE,
    EMPTIED,
    FILTERED_AFTER[STATE],
    *itertools.chain(*((arm, FILTERED_AFTER[arm]) for arm in (PLAIN_LOSS, STATE_LOSS))),
)
# Weight of the temporal error where it is in the loss.
TEMPORAL = 2.0
# Rows and columns of the frames that are made from single pairs.
SIZE = (120, 160)
FRAMES, RUN_IN = 8, 2
ZOOM, MOTION = 1.5, 1.0
# Standard deviation of the camera noise, in grey levels of 255.
NOISE = 6.0
# The columns of the table: set, figure, heading.
COLUMNS = (
    ("crops", "si_rmse", "crops: si-RMSE"),
    ("crops", "delta_1", "delta_1"),
    ("crops", "temporal_error", "temporal error"),
    ("still", "temporal_error", "still: temporal error"),
    ("still", "flicker", "flicker"),
    ("walk", "si_rmse", "walk: si-RMSE"),
    ("walk", "delta_1", "delta_1"),
    ("walk", "temporal_error", "temporal error"),
)
_BATCH = 16
Depths = NDArray[np.float32]
Row = dict[str, Any]


@dataclass(frozen=True)
class Clip:
    """Frames with ground truth.

    Attributes:
        rgb: TxHxWx3 uint8.
        depth: TxHxW metres, 0 = unknown.
        motions: Where each frame's points lie in the next one, T - 1 of them.
    """

    rgb: NDArray[np.uint8]
    depth: Depths
    motions: Sequence[Motion]


def crop_clips(pairs: Sequence[Pair], moving: bool) -> Iterator[Clip]:
    """A clip from each pair: a window that moves over it, or all of it standing still."""
    for index, pair in enumerate(pairs):
        rgb, depth_mm = read_pair(pair)
        depth = np.asarray(depth_mm, np.float32) / np.float32(1000)
        rng = np.random.default_rng((0, index))
        path = CropPath((1, 1), ((0, 0), (0, 0)))
        if moving:
            path = CropPath.draw(rng, ZOOM, MOTION)
        times = [frame / (FRAMES - 1) for frame in range(FRAMES)]
        views = [path.view(rgb, depth, at, SIZE) for at in times]
        photos = np.stack([photo for photo, _ in views])
        noise = np.float32(NOISE) * rng.standard_normal(photos.shape, np.float32)
        yield Clip(
            np.asarray(np.rint(np.clip(photos + noise, 0, 255)), np.uint8),
            np.stack([near for _, near in views]),
            [crop_motion(path, at, after, depth.shape) for at, after in itertools.pairwise(times)],
        )


def crop_motion(path: CropPath, at: float, after: float, picture: tuple[int, ...]) -> Motion:
    """Where the pixels of a moving crop lie a frame later; NaN where they have left it.

    Args:
        path: Path of the moving crop.
        at: Time of the frame, 0..1.
        after: Time of the next frame.
        picture: Rows and columns of the picture that the crop moves on.
    """
    rows, columns = np.indices(SIZE)
    # A crop moves and grows, but does not turn: the last of the three is 1.
    pixels = np.stack([columns, rows, np.ones_like(rows)])
    place = np.tensordot(path.motion(at, after, (picture[0], picture[1]), SIZE), pixels, 1)[:2]
    ends = np.array([SIZE[1], SIZE[0]])[:, None, None] - 0.5
    place[:, ((place < -0.5) | (place >= ends)).any(0)] = math.nan
    x, y = place.astype(np.float32)
    return x, y


def walk_clip(folder: Path) -> Clip:
    """The frames of a folder with `poses.txt` and `intrinsics_640x480.txt`."""
    pairs = [read_pair(pair) for pair in list_pairs(folder)]
    depth = np.stack([mm for _, mm in pairs]).astype(np.float32) / np.float32(1000)
    poses = np.loadtxt(folder / "poses.txt", usecols=range(1, 17)).reshape(-1, 4, 4)
    if len(poses) != len(pairs):
        raise UserError(
            f"{folder / 'poses.txt'} has {len(poses)} poses for {len(pairs)} frames; "
            "give one line for each"
        )
    intrinsics = np.loadtxt(folder / "intrinsics_640x480.txt")
    intrinsics[:2] *= depth.shape[2] / 640
    intrinsics[:2, 2] -= 0.5
    motions = [
        camera_motion(depth[i], depth[i + 1], np.linalg.inv(poses[i + 1]) @ poses[i], intrinsics)
        for i in range(len(pairs) - 1)
    ]
    return Clip(np.stack([rgb for rgb, _ in pairs]), depth, motions)


@torch.no_grad()
def predicted(network: DepthNet, rgb: NDArray[np.uint8], carry: bool) -> Depths:
    """Depth of the frames of a clip through the graph that is exported.

    Args:
        network: The network.
        rgb: TxHxWx3 uint8.
        carry: Whether its state is carried from frame to frame, or each starts from an empty one.

    Returns:
        TxHxW metres.
    """
    camera = CameraNet(network, *rgb.shape[1:3]).eval()
    frames, out = torch.from_numpy(rgb).float(), []
    if not carry:
        out = [camera(part) for part in frames.split(_BATCH)]
    else:
        state = torch.zeros(1, *cast(tuple[int, int, int], network.state_shape))
        for frame in frames.split(1):
            depth, state = camera(frame, state)
            out.append(depth)
    return np.asarray(torch.cat(out)[..., 0].numpy())


def filtered(depth: Depths, keep: float) -> Depths:
    """An exponential filter over ln(depth) of TxHxW frames, from the first one on."""
    out = [np.log(depth[0])]
    for frame in depth[1:]:
        out.append(keep * out[-1] + (1 - keep) * np.log(frame))
    return np.exp(np.stack(out))


def figures(clip: Clip, depth: Depths, still: bool) -> dict[str, float]:
    """The figures of one clip after its first frames; `flicker` only where it stands still."""
    depth, known = depth[RUN_IN:], clip.depth[RUN_IN:]
    each = [depth_metrics(d * 1000, g * 1000) for d, g in zip(depth, known, strict=True)]
    mean = mean_metrics(row for row in each if row is not None)
    errors = [log_error(d, g) for d, g in zip(depth, known, strict=True)]
    values = {
        "si_rmse": mean.si_rmse,
        "delta_1": mean.delta_1,
        "temporal_error": temporal_error(errors, clip.motions[RUN_IN:]),
    }
    return values | ({"flicker": flicker(list(depth))} if still else {})


class FramesTrainer(Trainer):
    """Trains a network without a state on the frames of the clips that one with it would get."""

    def build(self) -> DepthNet:
        """The network of the config without its stream."""
        return DepthNet(without_stream(self.config.network))

    def predict(self, model: nn.Module, rgb: Tensor) -> Tensor:
        """NxTx3xHxW uint8 -> (N T)x1xhxw ln(metres), each frame by itself."""
        x = self.normalise(rgb.flatten(0, 1)).contiguous(memory_format=torch.channels_last)
        return log_depth(model(x), self.config.network)


def _freeze_encoder(network: DepthNet, _: nn.ModuleDict) -> None:
    network.encoder.requires_grad_(False)


def without_stream(config: NetworkConfig) -> NetworkConfig:
    """The same network without a state."""
    decoder = config.decoder.model_copy(update={"stream": None})
    return config.model_copy(update={"decoder": decoder})


class Bench:
    """The trainings and figures of one set of options."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.split = read_split(options.data)
        self.init = find_checkpoint(options.init)
        self.start = load_checkpoint(self.init)
        self.walk = walk_clip(options.clip)

    def rows(self, arm: str, seed: int) -> list[Row]:
        """Trains one network; the rows of what its output, or what is made of it, reaches."""
        out = self.options.runs / f"{arm.replace(' ', '-')}-{seed}"
        shutil.rmtree(out, ignore_errors=True)
        config = self._config(seed, TEMPORAL if arm in (PLAIN_LOSS, STATE_LOSS) else 0)
        kind = Trainer if arm in (STATE, STATE_LOSS) else FramesTrainer
        run = RunOptions(out, "bench", "bench", workers=0, init=self.init)
        began = time.process_time()
        # One pair: the trainer's own validation takes every picture by itself and is not used.
        split = replace(self.split, val=self.split.val[:1])
        trainer = kind(config, split, run, prepare=_freeze_encoder)
        trainer.run()
        seconds = time.process_time() - began
        assert config.clip is not None
        facts = {
            "init": self.start.name,
            "config": self.options.config,
            "epochs": config.epochs,
            "steps": config.epochs * len(trainer.sampler),
            "clips": config.batch_size,
            "frames": config.clip.frames,
            "pairs": len(self.split.train),
            "temporal": config.clip.temporal,
            "seed": seed,
            "training_seconds": round(seconds, 1),
        }
        return [facts | row for row in measured(trainer.averaged_network, self.sets(), arm)]

    def sets(self) -> dict[str, Callable[[], Iterator[Clip]]]:
        """What is measured on, by name."""
        return {
            "crops": lambda: crop_clips(self.split.val, moving=True),
            "still": lambda: crop_clips(self.split.val, moving=False),
            "walk": lambda: iter([self.walk]),
        }

    def _config(self, seed: int, temporal: float) -> TrainConfig:
        epochs = self.options.epochs
        network = self.start.config.model_dump(mode="json")
        network["decoder"]["stream"] = {"kind": "minimal", "channels": 16, "kernel": 3}
        changes = {
            "network": network,
            "clip": {
                "source": "crop",
                "frames": 6,
                "truncate": 6,
                "motion": MOTION,
                "temporal": temporal,
            },
            "epochs": epochs,
            "eval_every": epochs,
            "batch_size": 4,
            "learning_rate": 1e-3,
            "ema_decay": 0.98,
            "seed": seed,
        }
        return load_train_config(self.options.config, changes, {"augment.noise": 8.0})


def measured(
    network: DepthNet, sets: dict[str, Callable[[], Iterator[Clip]]], arm: str
) -> Iterator[Row]:
    """A row for each set and for each arm that a trained network gives."""
    for name, clips in sets.items():
        found: dict[str, list[dict[str, float]]] = {}
        for clip in clips():
            for of, depth in outputs(network, clip, arm).items():
                found.setdefault(of, []).append(figures(clip, depth, still=name == "still"))
        for of, values in found.items():
            means = {
                key: round(statistics.mean(value[key] for value in values), 5) for key in values[0]
            }
            yield {"arm": of, "set": name, **{"flicker": ""}, **means}


def outputs(network: DepthNet, clip: Clip, arm: str) -> dict[str, Depths]:
    """What the arms that share a trained network see on a clip, TxHxW metres each."""
    depth = predicted(network, clip.rgb, carry=arm in (STATE, STATE_LOSS))
    if arm == PLAIN:
        return {PLAIN: depth, **{name: filtered(depth, keep) for name, keep in FILTERS.items()}}
    found = {arm: depth, FILTERED_AFTER[arm]: filtered(depth, BOTH_KEEP)}
    if arm == STATE:
        found[EMPTIED] = predicted(network, clip.rgb, carry=False)
    return found


def table() -> str:
    """The figures of each arm as Markdown: mean and deviation of the seeds."""
    rows = csv_rows(RESULTS)
    if not rows:
        return "Nothing yet."
    most = max(int(row["epochs"]) for row in rows)
    rows = [row for row in rows if int(row["epochs"]) == most]
    seeds = {row["seed"] for row in rows if row["arm"] == STATE}
    rows = [row for row in rows if row["seed"] in seeds]
    lines = []
    for arm in (arm for arm in ARMS if any(row["arm"] == arm for row in rows)):
        cells = [_cell(list(_by_seed(rows, arm, *column[:2]).values())) for column in COLUMNS]
        lines.append([arm, *cells])
    differences = []
    for column in COLUMNS:
        plain, state = (_by_seed(rows, arm, *column[:2]) for arm in (PLAIN, STATE))
        differences.append(_cell([state[seed] - plain[seed] for seed in state], "+"))
    lines.append(["state minus without, by seed", *differences])
    first = rows[0]
    note = (
        f"{counted(len(seeds), 'seed')}, from {first['init']}, whose encoder stays as "
        f"it is: {first['steps']} steps of {first['clips']} clips of {first['frames']} frames, "
        f"{first['pairs']} pairs. A training took {_seconds(rows, PLAIN)} processor seconds "
        f"without state and {_seconds(rows, STATE)} with. Higher is better for delta_1, lower for "
        "the others."
    )
    return f"{markdown_table(['', *(heading for *_, heading in COLUMNS)], lines)}\n\n{note}"


def _by_seed(rows: Sequence[Row], arm: str, name: str, figure: str) -> dict[str, float]:
    own = [row for row in rows if row["arm"] == arm and row["set"] == name]
    return {row["seed"]: float(row[figure]) for row in own}


def _cell(values: Sequence[float], sign: str = "") -> str:
    return mean_and_deviation(values, sign=sign) if values else "not measured"


def _seconds(rows: Sequence[Row], arm: str) -> str:
    own = [float(row["training_seconds"]) for row in rows if row["arm"] == arm]
    return f"{statistics.mean(own):.0f}"


def main() -> int:
    """Measures what is missing and prints the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="folder with train/ and val/")
    parser.add_argument("--clip", type=Path, required=True, help="frames with poses.txt")
    parser.add_argument("--runs", type=Path, required=True, help="folder of the trainings")
    parser.add_argument("--init", default="ghostdepth-nano", help="checkpoint of the start")
    parser.add_argument("--config", default="nano-finish")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    bench = Bench(options)
    for seed, arm in itertools.product(options.seeds, TRAINED):
        done = {(row["epochs"], row["seed"], row["arm"]) for row in csv_rows(RESULTS)}
        if (str(options.epochs), str(seed), arm) not in done:
            rows = bench.rows(arm, seed)
            print(*rows, sep="\n", file=sys.stderr, flush=True)
            write_bytes(RESULTS, csv_bytes([*csv_rows(RESULTS), *rows]))
    print(table())
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("stream.py", main))
