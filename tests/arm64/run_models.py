"""run_models.py DATASET OUT COUNT:MODEL...: depth of the first photos, metres, OUT/MODEL.npy.

Runs on the Pi and on the workstation alike; one process for all, because it starts slowly there.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from bench_depth.accuracy.evaluation import predict
from bench_depth.core.dataset import list_pairs, read_pair
from bench_depth.model.contract import read_contract
from bench_depth.model.runtimes import choose
from bench_depth.model.signature import check_signature


def main(dataset: str, out: str, *models: str) -> None:
    for entry in models:
        count, _, name = entry.partition(":")
        path, pairs = Path(name), list_pairs(Path(dataset))[: int(count)]
        model = choose(path).load(path, 4)
        signature = check_signature(path, model, read_contract(path))
        depths = [predict(model, signature, read_pair(pair)[0]) for pair in pairs]
        np.save(Path(out) / f"{path.name}.npy", np.stack(depths))


if __name__ == "__main__":
    main(*sys.argv[1:])
