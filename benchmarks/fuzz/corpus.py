"""Sound files, which the soak damages: a dataset, a checkpoint, models, results."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from bench_depth.core.dataset import list_pairs
from processes import bench, ghostdepth, run

ROOT = Path(__file__).resolve().parents[2]
RELEASED = ROOT / "device" / "bench_depth" / "models" / "ghostdepth-nano-int8.tflite"
SIZE = (96, 64)
TINY = ("--config", "tiny", "--epochs", 1, "--workers", 0)
QUICK = ("--warmup", "0", "--min-runs", "1", "--min-time", "0", "--threads", "1")


@dataclass(frozen=True)
class Corpus:
    """Where the sound files are.

    Attributes:
        folder: Holds all of them; nothing in it is changed by an attempt.
    """

    folder: Path

    @property
    def data(self) -> Path:
        """A dataset folder with `train` and `val`."""
        return self.folder / "data"

    @property
    def checkpoint(self) -> Path:
        """A network of the `tiny` config, trained for one epoch."""
        return self.folder / "run" / "best"

    @property
    def onnx(self) -> bytes:
        """A small .onnx with a contract."""
        return (self.folder / "small.onnx").read_bytes()

    @property
    def tflite(self) -> bytes:
        """A released .tflite."""
        return RELEASED.read_bytes()

    @property
    def photo(self) -> Path:
        """One photo."""
        return list_pairs(self.data / "val")[0].rgb

    @property
    def results(self) -> Path:
        """A results file of `bench-depth`, with accuracy."""
        return self.folder / "results.json"


def make_corpus(folder: Path, full: bool) -> Corpus:
    """Makes the files, or takes them as an earlier run made them.

    Args:
        folder: Folder of the corpus.
        full: Whether the checkpoint and the results are needed, which take some seconds.
    """
    corpus = Corpus(folder)
    kept_in(folder, _models)
    if full:
        kept_in(corpus.data, _dataset)
        kept_in(
            folder / "run",
            lambda out: _sound(ghostdepth("train", "--data", corpus.data, "--out", out, *TINY)),
        )
        if not corpus.results.exists():
            words = ("--model", RELEASED, "--data", corpus.data / "val", "--json", corpus.results)
            _sound(bench(*words, *QUICK))
    return corpus


def kept_in(folder: Path, make: Callable[[Path], object]) -> Path:
    """A folder that `make` fills once; two that make it at a time do no harm to each other."""
    if not folder.exists():
        from tempfile import mkdtemp

        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(mkdtemp(dir=folder.parent, prefix="making-"))
        make(partial)
        try:
            partial.rename(folder)
        except OSError:
            shutil.rmtree(partial)
    return folder


def _sound(work: Callable[[], int]) -> None:
    outcome = run(work, limit=600)
    if outcome.code != 0:
        raise SystemExit(f"the sound files cannot be made:\n{outcome.text}")


def _models(folder: Path) -> None:
    (folder / "small.onnx").write_bytes(small_onnx())


def _dataset(folder: Path) -> None:
    for index, pair in enumerate(list_pairs(ROOT / "samples")[:13]):
        part = folder / ("train" if index < 10 else "val")
        for name, path, how in (
            ("rgb", pair.rgb, cv2.INTER_AREA),
            ("depth", pair.depth, cv2.INTER_NEAREST),
        ):
            (part / name).mkdir(parents=True, exist_ok=True)
            image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            cv2.imwrite(str(part / name / path.name), cv2.resize(image, SIZE, interpolation=how))


def small_onnx() -> bytes:
    """A convolution and a resize, with every kind of field that the file of a depth network has.

    Its layout is that of our exported files, so that a model contract can be true of it.
    """
    import onnx
    from onnx import TensorProto, helper

    weight = np.random.default_rng(0).normal(size=(1, 3, 3, 3)).astype(np.float32)
    sizes = np.array([1, 1, 48, 64], np.int64)
    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["rgb"], ["planes"], perm=[0, 3, 1, 2]),
            helper.make_node("Conv", ["planes", "weight"], ["small"], pads=[1, 1, 1, 1]),
            helper.make_node("Resize", ["small", "", "", "sizes"], ["large"], mode="linear"),
            helper.make_node("Transpose", ["large"], ["depth"], perm=[0, 2, 3, 1]),
        ],
        "fuzz",
        [helper.make_tensor_value_info("rgb", TensorProto.FLOAT, [1, 24, 32, 3])],
        [helper.make_tensor_value_info("depth", TensorProto.FLOAT, [1, 48, 64, 1])],
        [
            onnx.numpy_helper.from_array(weight, "weight"),
            onnx.numpy_helper.from_array(sizes, "sizes"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())


def read_json(path: Path) -> object:
    """A sound JSON file."""
    return json.loads(path.read_text())
