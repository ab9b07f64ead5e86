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
are in `stream.csv` are kept: a command that was stopped goes on. Tables are of the most epochs.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from bench_depth.accuracy.temporal import (
    flicker,
    log_error,
    temporal_error,
)
from bench_depth.core.errors import exit_code
from bench_depth.core.files import write_bytes
from bench_depth.core.metrics import depth_metrics, mean_metrics
from ghostdepth_export.host.checkout import find_checkpoint
from ghostdepth_train.checkpoint import WEIGHTS, load_checkpoint
from ghostdepth_train.config import NetworkConfig, TrainConfig, load_train_config
from ghostdepth_train.csv_files import csv_bytes, csv_rows
from ghostdepth_train.data import read_split
from ghostdepth_train.models.network import CameraNet, DepthNet, log_depth
from ghostdepth_train.run_options import RunOptions
from ghostdepth_train.trainer import Trainer
from numpy.typing import NDArray
from stream_clips import MOTION, Clip, Depths, crop_clips, walk_clip
from stream_table import (
    BOTH_KEEP,
    EMPTIED,
    FILTERED_AFTER,
    FILTERS,
    PLAIN,
    PLAIN_LOSS,
    RESULTS,
    STATE,
    STATE_LOSS,
    TRAINED,
    table,
)
from torch import Tensor, nn

# Weight of the temporal error where it is in the loss.
TEMPORAL = 2.0
RUN_IN = 2
_BATCH = 16
Row = dict[str, Any]


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
        weights = hashlib.sha256((self.init / WEIGHTS).read_bytes()).hexdigest()
        self.start_name = f"{self.start.name}, sha256 {weights[:12]}"
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
            "init": self.start_name,
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
        keys = ("init", "epochs", "seed", "arm")
        done = {tuple(row[key] for key in keys) for row in csv_rows(RESULTS)}
        if (bench.start_name, str(options.epochs), str(seed), arm) not in done:
            rows = bench.rows(arm, seed)
            print(*rows, sep="\n", file=sys.stderr, flush=True)
            write_bytes(RESULTS, csv_bytes([*csv_rows(RESULTS), *rows]))
    print(table(RESULTS))
    return 0


if __name__ == "__main__":
    sys.exit(exit_code("stream.py", main))
