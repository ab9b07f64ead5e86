"""ghostdepth from Python: the verbs of the command line as functions.

    import ghostdepth

    best = ghostdepth.train("data", "runs/s", config="ghostnet-s")
    files = ghostdepth.export(best, "exported")
    print(ghostdepth.latency(files[0])[0].ms)

Importing this is fast: torch, TensorFlow and OpenCV are imported by the functions that need them.
Whatever a user can put right raises `ghostdepth.UserError`, whose message is one line.
"""

from bench_depth import __version__
from bench_depth.core.errors import UserError

from ghostdepth.boards import deploy, emulate
from ghostdepth.compression import Labels, compress, label
from ghostdepth.datasets import check, convert
from ghostdepth.exploration import Found, WidthSensitivity, search, sensitivity
from ghostdepth.images import depth
from ghostdepth.model_files import (
    bundle,
    calibrate_latency,
    count,
    demo,
    export,
    latency,
    models,
)
from ghostdepth.networks import evaluate, summary, train
from ghostdepth.pretraining import pretrain

# In this field, `predict` means running a model on an image.
predict = depth

__all__ = [
    "Found",
    "Labels",
    "UserError",
    "WidthSensitivity",
    "__version__",
    "bundle",
    "calibrate_latency",
    "check",
    "compress",
    "convert",
    "count",
    "demo",
    "deploy",
    "depth",
    "emulate",
    "evaluate",
    "export",
    "label",
    "latency",
    "models",
    "predict",
    "pretrain",
    "search",
    "sensitivity",
    "summary",
    "train",
]
