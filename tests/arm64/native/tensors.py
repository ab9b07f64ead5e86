"""tensors.py THREADS PICTURE OUT MODEL...: the output tensor for a raw RGB picture, OUT/MODEL.bin.

Runs on the Pi with ai_edge_litert 2.1.0, whose library bench-depth-native is linked against.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from bench_depth.model.contract import read_contract
from bench_depth.model.preprocess import to_input
from bench_depth.model.runtimes import choose
from bench_depth.model.signature import check_signature


def main(threads: str, picture: str, out: str, *models: str) -> None:
    for path in map(Path, models):
        model = choose(path, "ai_edge_litert").load(path, int(threads))
        assert model.version == "2.1.0"
        signature = check_signature(path, model, read_contract(path))
        shape = (signature.height, signature.width, 3)
        model.set_input(to_input(np.fromfile(picture, np.uint8).reshape(shape), signature))
        model.invoke()
        model.output().tofile(Path(out) / f"{path.name}.bin")


if __name__ == "__main__":
    main(*sys.argv[1:])
