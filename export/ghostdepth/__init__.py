"""ghostdepth from Python: the verbs of the command line as functions.

    import ghostdepth

    best = ghostdepth.train("data", "runs/s", config="s")
    files = ghostdepth.export(best, "exported")
    print(ghostdepth.latency(files[0])[0].ms)

Importing this is fast: torch, TensorFlow and OpenCV are imported by the functions that need them.
Whatever a user can put right raises `ghostdepth.UserError`, whose message is one line.
"""

from bench_depth import __version__
from bench_depth.core.errors import UserError

from ghostdepth.compression import Labels, compress, label
from ghostdepth.images import depth
from ghostdepth.model_files import bundle, export, latency
from ghostdepth.networks import convert, evaluate, train

__all__ = [
    "Labels",
    "UserError",
    "__version__",
    "bundle",
    "compress",
    "convert",
    "depth",
    "evaluate",
    "export",
    "label",
    "latency",
    "train",
]
